// Sixteen numbers side by side: the same operation on sixteen slices (or pairs of slices) at once.
#pragma once
#include <cstring>
#include <utility>

#define DELTAMU_INLINE inline __attribute__((always_inline))

namespace deltamu {

constexpr int kLanes = 16;

// Two halves of the width of AVX2: a compiler keeps a vector wider than the processor's in memory instead of registers,
// seven times slower.
typedef float Half __attribute__((vector_size(32)));
constexpr int kHalf = kLanes / 2;

struct Lanes {
    Half low, high;
    float operator[](int lane) const { return lane < kHalf ? low[lane] : high[lane - kHalf]; }
};

DELTAMU_INLINE Lanes operator+(const Lanes &a, const Lanes &b) { return {a.low + b.low, a.high + b.high}; }
DELTAMU_INLINE Lanes operator-(const Lanes &a, const Lanes &b) { return {a.low - b.low, a.high - b.high}; }
DELTAMU_INLINE Lanes operator*(const Lanes &a, const Lanes &b) { return {a.low * b.low, a.high * b.high}; }
DELTAMU_INLINE Lanes operator*(const Lanes &a, float b) { return {a.low * b, a.high * b}; }
DELTAMU_INLINE Lanes operator*(float a, const Lanes &b) { return b * a; }
DELTAMU_INLINE Lanes operator-(const Lanes &a) { return {-a.low, -a.high}; }
DELTAMU_INLINE Lanes &operator+=(Lanes &a, const Lanes &b) { return a = a + b; }
DELTAMU_INLINE Lanes &operator-=(Lanes &a, const Lanes &b) { return a = a - b; }
DELTAMU_INLINE Lanes &operator*=(Lanes &a, float b) { return a = a * b; }

// A complex number per lane. The real part carries one slice, the imaginary part another: a real linear
// operation acts on both at once.
struct Cell {
    Lanes re, im;
};

DELTAMU_INLINE void load(const float *from, Lanes &to) { std::memcpy(&to, from, sizeof(Lanes)); }
DELTAMU_INLINE void store(const Lanes &from, float *to) { std::memcpy(to, &from, sizeof(Lanes)); }

// One step of Eklundh's transpose: exchange the off-diagonal blocks of size D of two rows that lie D apart.
template <int D, int... L> DELTAMU_INLINE void exchange(Half &upper, Half &lower, std::integer_sequence<int, L...>) {
    const Half a = upper, b = lower;
    upper = __builtin_shufflevector(a, b, ((L & D) == 0 ? L : kHalf + L - D)...);
    lower = __builtin_shufflevector(a, b, ((L & D) == 0 ? L + D : kHalf + L)...);
}

template <int D> DELTAMU_INLINE void exchange(Lanes &upper, Lanes &lower) {
    if constexpr (D == kHalf) {
        std::swap(upper.high, lower.low);
    } else {
        exchange<D>(upper.low, lower.low, std::make_integer_sequence<int, kHalf>());
        exchange<D>(upper.high, lower.high, std::make_integer_sequence<int, kHalf>());
    }
}

template <int D> DELTAMU_INLINE void exchange_all(Lanes *rows) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++)
        if ((i & D) == 0) exchange<D>(rows[i], rows[i + D]);
}

// Transpose a 16 x 16 block in place.
DELTAMU_INLINE void transpose(Lanes *rows) {
    exchange_all<8>(rows);
    exchange_all<4>(rows);
    exchange_all<2>(rows);
    exchange_all<1>(rows);
}

}  // namespace deltamu
