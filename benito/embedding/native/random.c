/* Numbers that look random and are the same for the same seed everywhere. */
#include "embed.h"

static uint64_t spread(uint64_t *seed) {
    /* splitmix64 of Vigna, public domain */
    uint64_t z = (*seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

Random random_of(uint64_t seed) {
    Random random;
    random.a = spread(&seed);
    random.b = spread(&seed) | 1;
    return random;
}
