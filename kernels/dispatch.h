// One portable binary that uses AVX-512 or AVX2 where the processor has them.
#pragma once
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define DELTAMU_DISPATCH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DELTAMU_DISPATCH
#endif
