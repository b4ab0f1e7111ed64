/* The search: descents from several starts, then descents in which the best placements are combined.
 *
 * Two placements are combined by coarsening inside the groups of vertices that share a part in both: what they agree on
 * moves as a whole, and what they differ in is tried.
 */
#include "embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a descent starts: from parts grown at once, from a split from above, from a coarse picture, from the pool. */
typedef enum { COLD, SPLIT, FRESH, COMBINE } Way;
static const Way STARTING[] = {COLD, SPLIT, FRESH, FRESH, COLD};
enum { STARTS = sizeof STARTING / sizeof *STARTING };

/* A number between two others, each order of magnitude as likely as the next. */
static double between(Random *random, double low, double high) {
    return low * pow(high / low, (double)(random_next(random) >> 11) * 0x1p-53);
}

/* Chance, in percent. */
static int chance(Random *random, int32_t percent) { return random_below(random, 100) < percent; }

static Trial some_trial(Random *random, double sweeps) {
    Trial trial = {.sweeps = sweeps};
    trial.hot = between(random, 0.05, 1);
    trial.cold = between(random, 0.1, 0.3);
    trial.share = 1.0 / (1 + random_below(random, 5)); /* clusters of which some number fill a part */
    trial.crowd = chance(random, 25) ? 1 : 3;
    trial.price = between(random, 0.3, 1);
    trial.finer = between(random, 0.3, 0.8);
    trial.bend = between(random, 0.4, 0.8);
    trial.all = chance(random, 33) ? 0.5 : 0;
    trial.bulky = random_below(random, 3) / 2.0;
    trial.shy = random_below(random, 3) / 2.0;
    trial.keen = chance(random, 50) ? 0.5 : 0;
    trial.flat = chance(random, 40) ? random_below(random, 4) / 4.0 : 1;
    return trial;
}

/* Whether nets with three pins and more are most of what there is: heat scatters their pins sooner than it gathers them. */
static int mostly_lans(const Level *level) { return level->net_start[level->nets] > level->pair_start[level->n]; }

/* Numbers the groups of vertices that share a part in both placements. */
static void agree(int32_t n, int32_t parts, const int32_t *one, const int32_t *other, int32_t *group) {
    int32_t *start = must_alloc(parts + 1, sizeof *start), *order = must_alloc(n, sizeof *order);
    int32_t *seen = must_alloc(parts, sizeof *seen), *number = must_alloc(parts, sizeof *number), groups = 0;
    for (int32_t v = 0; v < n; v++) start[one[v] + 1]++;
    for (int32_t p = 0; p < parts; p++) start[p + 1] += start[p];
    for (int32_t v = 0; v < n; v++) order[start[one[v]]++] = v;
    for (int32_t i = 0; i < n; i++) {
        const int32_t v = order[i], turn = one[v] + 1;
        if (seen[other[v]] != turn) seen[other[v]] = turn, number[other[v]] = groups++;
        group[v] = number[other[v]];
    }
    free(start), free(order), free(seen), free(number);
}

static void combine(Search *search, const Pool *pool, const Trial *trial, int32_t *group, Best *fresh) {
    const Best *one = &pool->best[random_below(&search->random, pool->count)];
    const Best *other = &pool->best[random_below(&search->random, pool->count)];
    if (better_than(other, one)) {
        const Best *const kept = one;
        one = other;
        other = kept;
    }
    agree(search->base->n, search->site->parts, one->part, other->part, group);
    descend(search, &(Start){.part = one->part, .group = group}, trial, fresh);
}

/* Takes a placement in if it is better than the worst, and none of that cut is there. Its memory is exchanged. */
static void take_in(Pool *pool, Best *fresh) {
    int32_t slot = pool->count;
    if (pool->count < POOL) {
        pool->count++;
    } else {
        slot = 0;
        for (int32_t i = 0; i < POOL; i++) {
            if (pool->best[i].cut == fresh->cut && pool->best[i].excess == fresh->excess) return;
            if (better_than(&pool->best[slot], &pool->best[i])) slot = i;
        }
        if (!better_than(fresh, &pool->best[slot])) return;
    }
    const Best kept = pool->best[slot];
    pool->best[slot] = *fresh;
    *fresh = kept;
}

/* Where there is time, more is begun anew: the best may lie where none of the pool leads. */
static Way some_way(Random *random, int32_t rounds) {
    return chance(random, 4) ? SPLIT : chance(random, rounds < 60 ? 3 : 10) ? FRESH : COMBINE;
}

static void look(Search *search, Pool *pool, int32_t rounds, double sweeps) {
    const int32_t n = search->base->n, given = pool->count;
    int32_t *group = must_alloc(n, sizeof *group);
    Best fresh = {.part = must_alloc(n, sizeof *fresh.part)};
    for (int32_t round = 0; round < rounds && !*search->stop; round++) {
        Trial trial = some_trial(&search->random, sweeps);
        fresh.cut = fresh.excess = INFINITY;
        switch (given < POOL && round < STARTS ? STARTING[round] : some_way(&search->random, rounds)) {
        case COLD:
            /* Grown and hardly stirred: where LANs are large, heat mixes more than it mends. */
            trial.share = 0, trial.hot = 0.05, trial.cold = 0.04, trial.shy = round == 0, trial.orderly = round > 0;
            descend(search, NULL, &trial, &fresh);
            break;
        case SPLIT:
            split(search, group);
            descend(search, &(Start){.part = group, .group = group}, &trial, &fresh);
            break;
        case FRESH:
            descend(search, NULL, &trial, &fresh);
            break;
        case COMBINE:
            trial.keen = trial.bulky = 0;
            trial.hot *= mostly_lans(search->base) ? between(&search->random, 0.05, 1) : 0.5;
            combine(search, pool, &trial, group, &fresh);
            break;
        }
        if (fresh.excess < INFINITY) take_in(pool, &fresh);
    }
    free(group), free(fresh.part);
}

/* The last of the aims: where the cut is the same, even parts. */
static void even_out_best(Search *search, Best *best) {
    State *state = state_new(search->base, search->site);
    for (int32_t r = 0; r < search->site->resources; r++) search->site->price[r] = 1;
    search->site->uplink_price = search->site->conflict_price = 1;
    state_fill(state, best->part);
    even_out(state);
    memcpy(best->part, state->part, (size_t)search->base->n * sizeof *best->part);
    state_free(state);
}

static void measure(Search *search, const Problem *problem) {
    Site *site = search->site;
    double *needers = must_alloc(site->resources, sizeof *needers);
    for (int32_t p = 0; p < site->parts; p++) {
        for (int32_t r = 0; r < site->resources; r++)
            site->most[r] = fmax(site->most[r], site->capacity[(int64_t)p * site->resources + r]);
        if (site->uplink[p] < INFINITY) site->uplinks_limited = 1;
    }
    for (int32_t i = 0; i < problem->need_start[problem->n]; i++) {
        site->unit[problem->need_what[i]] += problem->need_amount[i];
        needers[problem->need_what[i]] += 1;
    }
    for (int32_t r = 0; r < site->resources; r++) site->unit[r] = needers[r] > 0 ? fmax(site->unit[r] / needers[r], 1e-9) : 1;
    search->least = INFINITY, site->heaviest = 1;
    for (int32_t i = 0; i < problem->nets; i++) {
        if (problem->net_weight[i] > 0) search->least = fmin(search->least, problem->net_weight[i]);
        site->heaviest = fmax(site->heaviest, problem->net_weight[i]);
    }
    if (search->least == INFINITY) search->least = 1;
    free(needers);
}

/* Looks for placements. `pool` holds `*count` placements to start from and gets the best that were found, the very best
 * first; `cut` and `excess` get what they cost. `*stop` may be set from another thread. */
void benito_embed(const Problem *problem, uint64_t seed, int32_t rounds, double sweeps, const int32_t *stop, int32_t *pool,
                  int32_t *count, double *cut, double *excess) {
    Site site = {
        .parts = problem->parts, .resources = problem->resources, .conflicts = problem->conflicts, .colors = problem->colors,
        .capacity = problem->capacity, .uplink = problem->uplink, .conflict = problem->conflict, .allowed = problem->allowed,
    };
    const int32_t n = problem->n;
    site.price = must_alloc(site.resources, sizeof *site.price);
    site.most = must_alloc(site.resources, sizeof *site.most);
    site.unit = must_alloc(site.resources, sizeof *site.unit);
    Search search = {.site = &site, .random = random_of(seed), .stop = stop};
    measure(&search, problem);
    search.base = level_new(n, problem->nets, problem->net_start, problem->net_pin, problem->net_weight, problem->need_start,
                            problem->need_what, problem->need_amount, problem->color, problem->fixed);
    Pool kept = {.count = 0};
    for (int32_t i = 0; i < POOL; i++) kept.best[i].part = must_alloc(n, sizeof *kept.best[i].part);
    for (int32_t i = 0; i < *count; i++) {
        State *state = state_new(search.base, &site);
        state_fill(state, pool + (int64_t)i * n);
        Best given = {.part = must_alloc(n, sizeof *given.part), .cut = INFINITY, .excess = INFINITY};
        best_of(&given, state);
        take_in(&kept, &given);
        free(given.part);
        state_free(state);
    }
    look(&search, &kept, rounds, sweeps);
    for (int32_t i = 0; i < kept.count; i++) even_out_best(&search, &kept.best[i]);
    *count = kept.count;
    for (int32_t i = 0; i < kept.count; i++) {
        for (int32_t j = i + 1; j < kept.count; j++) {
            if (!better_than(&kept.best[j], &kept.best[i])) continue;
            const Best swapped = kept.best[i];
            kept.best[i] = kept.best[j];
            kept.best[j] = swapped;
        }
        memcpy(pool + (int64_t)i * n, kept.best[i].part, (size_t)n * sizeof *pool);
        cut[i] = kept.best[i].cut;
        excess[i] = kept.best[i].excess;
    }
    for (int32_t i = 0; i < POOL; i++) free(kept.best[i].part);
    level_free(search.base);
    free(site.price), free(site.most), free(site.unit);
}
