// Where a polar sample goes on the Cartesian grid. Read by g++ and by NVRTC.
#pragma once
#include "portable.h"

namespace deltamu {

constexpr int kWidth = 4;        // grid points that a sample touches, along each axis
constexpr int kHalo = 2;         // grid points beyond each edge; they are folded back periodically
constexpr int kKernelBins = 4096;  // steps per grid point in the table of the window

// One sample: which, the first grid point it touches, and the window's bin along both axes.
struct Tap {
    int sample;
    unsigned short row, column, row_bin, column_bin;
};

// A tile with the window's overhang (8 + 3 points) is shorter than two tiles: four colours keep writers apart.
constexpr int kTile = 8;

}  // namespace deltamu
