// Sixteen numbers side by side: the same operation on sixteen slices (or pairs of slices) at once.
#pragma once
#include <cstring>
#include <utility>

#define DELTAMU_INLINE inline __attribute__((always_inline))

namespace deltamu {

constexpr int kLanes = 16;
typedef float Lanes __attribute__((vector_size(64)));

// A complex number per lane. The real part carries one slice, the imaginary part another: a real linear
// operation acts on both at once.
struct Cell {
    Lanes re, im;
};

DELTAMU_INLINE void load(const float *from, Lanes &to) { std::memcpy(&to, from, sizeof(Lanes)); }
DELTAMU_INLINE void store(const Lanes &from, float *to) { std::memcpy(to, &from, sizeof(Lanes)); }

// One step of Eklundh's transpose: exchange the off-diagonal blocks of size D of two rows that lie D apart.
template <int D, int... L>
DELTAMU_INLINE void exchange(Lanes &upper, Lanes &lower, std::integer_sequence<int, L...>) {
    const Lanes a = upper, b = lower;
    upper = __builtin_shufflevector(a, b, ((L & D) == 0 ? L : kLanes + L - D)...);
    lower = __builtin_shufflevector(a, b, ((L & D) == 0 ? L + D : kLanes + L)...);
}

template <int D> DELTAMU_INLINE void exchange_all(Lanes *rows) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++)
        if ((i & D) == 0) exchange<D>(rows[i], rows[i + D], std::make_integer_sequence<int, kLanes>());
}

// Transpose a 16 x 16 block in place.
DELTAMU_INLINE void transpose(Lanes *rows) {
    exchange_all<8>(rows);
    exchange_all<4>(rows);
    exchange_all<2>(rows);
    exchange_all<1>(rows);
}

}  // namespace deltamu
