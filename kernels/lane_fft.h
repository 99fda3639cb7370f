// Fourier transform of sixteen complex sequences at once, one per lane (Stockham autosort, radices 4, 2, 3, 5).
//
// With the sequences innermost every butterfly is plain vector arithmetic, without shuffles, for any radix;
// C. Van Loan, Computational Frameworks for the Fast Fourier Transform, SIAM 1992, section 1.7.
#pragma once
#include <cmath>
#include <stdexcept>
#include <vector>

#include "lanes.h"

namespace deltamu {

struct FftPass {
    int radix, groups, stride;
    std::vector<float> twiddles;  // (groups, radix - 1) complex
};

class LaneFft {
  public:
    explicit LaneFft(int length) : length_(length) {
        int left = length, stride = 1;
        for (int radix : {4, 2, 3, 5})
            while (left % radix == 0) {
                passes_.push_back(make_pass(radix, left, stride));
                left /= radix;
                stride *= radix;
            }
        if (left != 1) throw std::invalid_argument("Fourier length: expected a product of 2, 3 and 5");
    }
    int length() const { return length_; }
    const std::vector<FftPass> &passes() const { return passes_; }

  private:
    static FftPass make_pass(int radix, int left, int stride) {
        FftPass pass{radix, left / radix, stride, {}};
        for (int p = 0; p < pass.groups; p++)
            for (int k = 1; k < radix; k++) {
                const double angle = -2 * M_PI * (double(p) * k / left);
                pass.twiddles.push_back(float(std::cos(angle)));
                pass.twiddles.push_back(float(std::sin(angle)));
            }
        return pass;
    }
    int length_;
    std::vector<FftPass> passes_;
};

DELTAMU_INLINE Cell operator+(const Cell &a, const Cell &b) { return {a.re + b.re, a.im + b.im}; }
DELTAMU_INLINE Cell operator-(const Cell &a, const Cell &b) { return {a.re - b.re, a.im - b.im}; }
DELTAMU_INLINE Cell scaled(const Cell &a, float s) { return {a.re * s, a.im * s}; }
DELTAMU_INLINE Cell times_minus_i(const Cell &a) { return {a.im, -a.re}; }
DELTAMU_INLINE Cell times(const Cell &a, float re, float im) {
    return {a.re * re - a.im * im, a.re * im + a.im * re};
}

template <int Radix> DELTAMU_INLINE void butterfly(Cell *a);

template <> DELTAMU_INLINE void butterfly<2>(Cell *a) {
    const Cell sum = a[0] + a[1], difference = a[0] - a[1];
    a[0] = sum;
    a[1] = difference;
}

template <> DELTAMU_INLINE void butterfly<3>(Cell *a) {
    const float sine = 0.86602540378443864676f;
    const Cell sum = a[1] + a[2], turned = times_minus_i(scaled(a[1] - a[2], sine));
    const Cell middle = a[0] - scaled(sum, 0.5f);
    a[0] = a[0] + sum;
    a[1] = middle + turned;
    a[2] = middle - turned;
}

template <> DELTAMU_INLINE void butterfly<4>(Cell *a) {
    const Cell even = a[0] + a[2], even_difference = a[0] - a[2];
    const Cell odd = a[1] + a[3], turned = times_minus_i(a[1] - a[3]);
    a[0] = even + odd;
    a[1] = even_difference + turned;
    a[2] = even - odd;
    a[3] = even_difference - turned;
}

template <> DELTAMU_INLINE void butterfly<5>(Cell *a) {
    const float c1 = 0.30901699437494742410f, c2 = -0.80901699437494742410f;
    const float s1 = 0.95105651629515357212f, s2 = 0.58778525229247312917f;
    const Cell p = a[1] + a[4], q = a[2] + a[3], d = a[1] - a[4], e = a[2] - a[3];
    const Cell m1 = a[0] + scaled(p, c1) + scaled(q, c2), m2 = a[0] + scaled(p, c2) + scaled(q, c1);
    const Cell t1 = times_minus_i(scaled(d, s1) + scaled(e, s2)), t2 = times_minus_i(scaled(d, s2) - scaled(e, s1));
    a[0] = a[0] + p + q;
    a[1] = m1 + t1;
    a[4] = m1 - t1;
    a[2] = m2 + t2;
    a[3] = m2 - t2;
}

template <int Radix> DELTAMU_INLINE void run_pass(const FftPass &pass, const Cell *from, Cell *to) {
    const int stride = pass.stride, step = pass.stride * pass.groups;
    for (int p = 0; p < pass.groups; p++) {
        const float *w = pass.twiddles.data() + size_t(p) * 2 * (Radix - 1);
        for (int q = 0; q < stride; q++) {
            const Cell *source = from + size_t(stride) * p + q;
            Cell *target = to + size_t(stride) * Radix * p + q;
            Cell a[Radix];
            for (int j = 0; j < Radix; j++) a[j] = source[size_t(j) * step];
            butterfly<Radix>(a);
            target[0] = a[0];
            for (int k = 1; k < Radix; k++)
                target[size_t(k) * stride] = times(a[k], w[2 * (k - 1)], w[2 * (k - 1) + 1]);
        }
    }
}

// Transform with exp(-2 pi i jk/n); exp(+2 pi i jk/n) is the same with real and imaginary parts exchanged.
// The result lies in the buffer that is returned, one of the two.
DELTAMU_INLINE Cell *transform(const LaneFft &fft, Cell *data, Cell *scratch) {
    for (const FftPass &pass : fft.passes()) {
        if (pass.radix == 4) run_pass<4>(pass, data, scratch);
        else if (pass.radix == 2) run_pass<2>(pass, data, scratch);
        else if (pass.radix == 3) run_pass<3>(pass, data, scratch);
        else run_pass<5>(pass, data, scratch);
        std::swap(data, scratch);
    }
    return data;
}

}  // namespace deltamu
