// Numbers of 16 bits in memory, of 32 in arithmetic. Read by g++ and by NVRTC, without CUDA's headers.
#pragma once
#include "portable.h"

namespace deltamu {

struct Half {
    unsigned short bits;
};

DELTAMU_BOTH float widened(float value) { return value; }

#if defined(__CUDACC__)
__device__ __forceinline__ float widened(Half value) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
    return wide;
}
#else
inline float widened(Half value) {
    _Float16 narrow;
    __builtin_memcpy(&narrow, &value, sizeof narrow);
    return static_cast<float>(narrow);
}
#endif

}  // namespace deltamu
