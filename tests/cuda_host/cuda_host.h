// Runs the launch grid of a CUDA kernel on the CPU: blocks one after another, every thread of a block a fiber, so
// that barriers, shuffles and shared memory work. A barrier that not all threads of a block reach is reported.
//
// What it cannot see: races between blocks, the memory model, occupancy, and anything that the compiler for the
// device does differently.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// in a section of its own, so that what one block leaves there can be wiped before the next
#define __shared__ static __attribute__((section("cuda_shared")))
#define __constant__ static
#define __restrict__ __restrict

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

struct float2 {
    float x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

extern "C" unsigned char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" unsigned char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

namespace cuda_host {

constexpr int kJunk = 0xCB;
constexpr std::size_t kStack = 256 * 1024, kWarp = 32;

enum class State { ready, at_block_barrier, at_warp_barrier, finished };

struct Fiber {
    ucontext_t context;
    dim3 thread;
    State state;
    unsigned char offered[16];  // what this lane shows the others in a shuffle
    std::vector<char> stack;
};

struct Machine {
    std::vector<Fiber> fibers;
    ucontext_t scheduler;
    std::function<void()> body;
    std::vector<unsigned char> dynamic_shared;
    dim3 block, block_size, grid_size;
    Fiber *running = nullptr;
    bool reversed = false;
};

inline Machine machine;

inline void wait_at(State barrier) {
    machine.running->state = barrier;
    swapcontext(&machine.running->context, &machine.scheduler);
}

inline void enter_fiber() {
    machine.body();
    wait_at(State::finished);
}

inline void prepare(Fiber &fiber, std::size_t number) {
    const dim3 &size = machine.block_size;
    fiber.thread = {unsigned(number % size.x), unsigned(number / size.x % size.y), unsigned(number / size.x / size.y)};
    fiber.state = State::ready;
    fiber.stack.resize(kStack);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter_fiber, 0);
}

// Lets every fiber run until it waits or is finished.
inline void run_ready() {
    const std::size_t count = machine.fibers.size();
    for (std::size_t i = 0; i < count; ++i) {
        Fiber &fiber = machine.fibers[machine.reversed ? count - 1 - i : i];
        if (fiber.state != State::ready) continue;
        machine.running = &fiber;
        swapcontext(&machine.scheduler, &fiber.context);
    }
}

// Frees the fibers in [first, last) if all that are not finished wait at `barrier`.
inline bool release(State barrier, std::size_t first, std::size_t last) {
    bool any = false;
    for (std::size_t i = first; i < last; ++i) {
        const State state = machine.fibers[i].state;
        if (state == State::finished) continue;
        if (state != barrier) return false;
        any = true;
    }
    for (std::size_t i = first; any && i < last; ++i)
        if (machine.fibers[i].state == barrier) machine.fibers[i].state = State::ready;
    return any;
}

inline std::string run_block() {
    const std::size_t count = machine.fibers.size();
    for (std::size_t i = 0; i < count; ++i) prepare(machine.fibers[i], i);
    for (;;) {
        run_ready();
        bool released = false;
        for (std::size_t warp = 0; warp < count; warp += kWarp)
            released |= release(State::at_warp_barrier, warp, std::min(count, warp + kWarp));
        if (released || release(State::at_block_barrier, 0, count)) continue;
        for (const Fiber &fiber : machine.fibers)
            if (fiber.state != State::finished) return "deadlock: the threads of a block wait at different barriers";
        return "";
    }
}

inline void wipe_shared(std::size_t dynamic_bytes) {
    machine.dynamic_shared.assign(dynamic_bytes, kJunk);
    if (__start_cuda_shared != nullptr)
        std::memset(__start_cuda_shared, kJunk, std::size_t(__stop_cuda_shared - __start_cuda_shared));
}

inline std::string run_grid(std::size_t shared_bytes) {
    const dim3 &grid = machine.grid_size;
    const std::size_t count = std::size_t(grid.x) * grid.y * grid.z;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t number = machine.reversed ? count - 1 - i : i;
        machine.block = {unsigned(number % grid.x), unsigned(number / grid.x % grid.y), unsigned(number / grid.x / grid.y)};
        wipe_shared(shared_bytes);
        const std::string problem = run_block();
        if (!problem.empty()) return problem;
    }
    return "";
}

// "i8", "f4", "u1" and the like; "s12" for a struct of 12 bytes; "*f4" for a pointer to one.
template <typename T> std::string code_of() {
    if constexpr (std::is_pointer_v<T>) return "*" + code_of<std::remove_cv_t<std::remove_pointer_t<T>>>();
    const char *kind = std::is_floating_point_v<T> ? "f" : std::is_class_v<T> ? "s" : std::is_signed_v<T> ? "i" : "u";
    return kind + std::to_string(sizeof(T));
}

// A struct may be passed as anything of its size, or as bytes.
inline bool fits(const std::string &wanted, const std::string &given) {
    if (wanted == given) return true;
    const std::size_t at = wanted[0] == '*' ? 1 : 0;
    if (wanted[at] != 's' || given.size() <= at || (at == 1) != (given[0] == '*')) return false;
    return given.substr(at) == "u1" || given.substr(at + 1) == wanted.substr(at + 1);
}

template <typename... A> std::string check(const std::vector<std::string> &given) {
    const std::vector<std::string> wanted = {code_of<A>()...};
    if (wanted.size() != given.size())
        return "found " + std::to_string(given.size()) + " arguments, expected " + std::to_string(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (!fits(wanted[i], given[i]))
            return "argument " + std::to_string(i) + ": found " + given[i] + ", expected " + wanted[i];
    return "";
}

template <typename... A, std::size_t... I>
void bind_arguments(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    machine.body = [=] { kernel(*static_cast<std::remove_cv_t<A> *>(arguments[I])...); };
}

// `sizes` holds the grid and the block, three numbers each.
template <typename... A>
std::string launch(void (*kernel)(A...), const unsigned *sizes, std::size_t shared_bytes, bool reversed,
                   const std::vector<std::string> &codes, void **arguments) {
    const std::string problem = check<A...>(codes);
    if (!problem.empty()) return problem;
    machine.grid_size = {sizes[0], sizes[1], sizes[2]};
    machine.block_size = {sizes[3], sizes[4], sizes[5]};
    machine.reversed = reversed;
    machine.fibers.resize(std::size_t(sizes[3]) * sizes[4] * sizes[5]);
    bind_arguments(kernel, arguments, std::index_sequence_for<A...>{});
    return run_grid(shared_bytes);
}

inline std::vector<std::string> split(const char *words) {
    std::vector<std::string> found(1);
    for (; *words != '\0'; ++words)
        if (*words == ' ') found.emplace_back();
        else found.back() += *words;
    return found;
}

inline std::size_t lane() { return std::size_t(machine.running - machine.fibers.data()) % kWarp; }

template <typename T> T read_lane(T value, std::size_t from) {
    static_assert(sizeof(T) <= sizeof(Fiber::offered));
    Fiber *self = machine.running;
    std::memcpy(self->offered, &value, sizeof(T));
    wait_at(State::at_warp_barrier);
    if (from < kWarp) std::memcpy(&value, (self - lane() + from)->offered, sizeof(T));
    wait_at(State::at_warp_barrier);
    return value;
}

}  // namespace cuda_host

#define threadIdx (cuda_host::machine.running->thread)
#define blockIdx (cuda_host::machine.block)
#define blockDim (cuda_host::machine.block_size)
#define gridDim (cuda_host::machine.grid_size)

inline void __syncthreads() { cuda_host::wait_at(cuda_host::State::at_block_barrier); }
inline void __syncwarp(unsigned = ~0u) { cuda_host::wait_at(cuda_host::State::at_warp_barrier); }
template <typename T> T __shfl_down_sync(unsigned, T value, int by) {
    return cuda_host::read_lane(value, cuda_host::lane() + by);
}
template <typename T> T atomicAdd(T *target, T value) {
    const T before = *target;
    *target = before + value;
    return before;
}
