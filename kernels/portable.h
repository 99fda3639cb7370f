// What lets one header be read by g++ and by NVRTC. Such a header has no includes and uses no standard library.
#pragma once
#if defined(__CUDACC__)
#define DELTAMU_BOTH __host__ __device__ __forceinline__
#else
#define DELTAMU_BOTH inline __attribute__((always_inline))
#endif

namespace deltamu {

typedef long long Place;

template <typename Real> DELTAMU_BOTH Real magnitude(Real value) { return value < 0 ? -value : value; }

}  // namespace deltamu
