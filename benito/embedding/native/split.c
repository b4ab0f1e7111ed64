/* A placement from above: the vertices are split between two halves of the parts, and each half again. */
#include "embed.h"

#include <math.h>
#include <stdlib.h>

static const Trial HALVING = {
    .sweeps = 300, .hot = 0.5, .cold = 0.2, .share = 0.25, .crowd = 3, .price = 0.5, .finer = 0.7, .bend = 0.5, .flat = 1, .shy = 1,
};

/* Two parts that have together what `parts` parts from `first` on have. */
static Site halves(const Site *whole, int32_t first, int32_t parts) {
    const int32_t resources = whole->resources, left = parts / 2;
    Site half = *whole;
    half.parts = 2, half.conflicts = 0, half.uplinks_limited = 0;
    half.capacity = must_alloc(2 * (int64_t)resources, sizeof *half.capacity);
    half.uplink = must_alloc(2, sizeof *half.uplink);
    half.allowed = must_alloc(2 * (int64_t)whole->colors, sizeof *half.allowed);
    half.most = must_alloc(resources, sizeof *half.most);
    half.price = must_alloc(resources, sizeof *half.price);
    half.uplink[0] = half.uplink[1] = INFINITY;
    for (int32_t p = 0; p < parts; p++) {
        const int which = p >= left;
        for (int32_t r = 0; r < resources; r++)
            half.capacity[which * resources + r] += whole->capacity[(int64_t)(first + p) * resources + r];
        for (int32_t c = 0; c < whole->colors; c++)
            half.allowed[2 * c + which] |= whole->allowed[(int64_t)c * whole->parts + first + p];
    }
    for (int32_t r = 0; r < resources; r++) half.most[r] = fmax(half.capacity[r], half.capacity[resources + r]);
    return half;
}

static void free_halves(Site *half) {
    free(half->capacity), free(half->uplink), free(half->allowed), free(half->most), free(half->price);
}

/* `names` says which vertex of the experiment each of the level's is; its part goes to `out`. */
static void split_level(Search *search, Level *level, const int32_t *names, int32_t first, int32_t parts, int32_t *out) {
    if (parts == 1) {
        for (int32_t v = 0; v < level->n; v++) out[names[v]] = first;
        return;
    }
    const int32_t n = level->n, left = parts / 2;
    int32_t *fixed = must_alloc(n, sizeof *fixed), *kept = level->fixed;
    for (int32_t v = 0; v < n; v++) fixed[v] = kept[v] < 0 ? -1 : kept[v] - first >= left;
    Site half = halves(search->site, first, parts);
    Search inner = *search;
    Best side = {.part = must_alloc(n, sizeof *side.part), .cut = INFINITY, .excess = INFINITY};
    inner.site = &half, inner.base = level;
    level->fixed = fixed;
    descend(&inner, NULL, &HALVING, &side);
    level->fixed = kept;
    search->random = inner.random;
    int32_t *map = must_alloc(n, sizeof *map), *inside = must_alloc(n, sizeof *inside);
    for (int which = 0; which < 2; which++) {
        int32_t count = 0;
        for (int32_t v = 0; v < n; v++) {
            map[v] = side.part[v] == which ? count : -1;
            if (map[v] >= 0) inside[count++] = names[v];
        }
        if (count == 0) continue;
        Level *piece = level_mapped(level, search->site, map, count);
        split_level(search, piece, inside, which ? first + left : first, which ? parts - left : left, out);
        level_free(piece);
    }
    free_halves(&half);
    free(fixed), free(map), free(inside), free(side.part);
}

void split(Search *search, int32_t *out) {
    int32_t *names = must_alloc(search->base->n, sizeof *names);
    for (int32_t v = 0; v < search->base->n; v++) names[v] = v;
    split_level(search, search->base, names, 0, search->site->parts, out);
    free(names);
}
