/* Coarser levels: vertices that are tied together become one, so that moves of whole neighbourhoods are cheap. */
#include "embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PINS_LOOKED_AT = 256 }; /* more say little of who belongs together, and cost much to look at */

/* How much of a part a vertex takes: the largest share of any resource. */
static double bulk(const Level *level, const Site *site, int32_t vertex) {
    double most = 1e-9;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++) {
        const double share = level->need_amount[i] / site->most[level->need_what[i]];
        if (share > most) most = share;
    }
    return most;
}

typedef struct {
    const Level *level;
    const Site *site;
    double share;
    int32_t *cluster;      /* vertex -> cluster */
    double *size;          /* cluster -> bulk, summed */
    double flat;           /* how much of the weights counts: 1 all, 0 nothing */
    double keen;           /* ties below this share of either end's strongest one join nobody */
    double *strongest;     /* vertex -> its strongest tie */
    double *rating;        /* cluster -> how much the vertex at hand is tied to it */
    int32_t *touched;
} Clustering;

static int joins(const Clustering *c, int32_t vertex, int32_t cluster, double vertex_bulk, const int32_t *within) {
    const Level *level = c->level;
    return level->color[vertex] == level->color[cluster] && level->fixed[vertex] < 0 && level->fixed[cluster] < 0 &&
           (within == NULL || within[vertex] == within[cluster]) && c->size[cluster] + vertex_bulk <= c->share + 1e-9;
}

static void rate(Clustering *c, int32_t cluster, double weight, int32_t *count) {
    if (weight <= 0) return;
    if (c->rating[cluster] == 0) c->touched[(*count)++] = cluster;
    c->rating[cluster] += weight;
}

static double flattened(const Clustering *c, double weight) { return c->flat == 1 ? weight : pow(weight, c->flat); }

static void find_strongest(Clustering *c) {
    const Level *level = c->level;
    for (int32_t v = 0; v < level->n; v++)
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++)
            c->strongest[v] = fmax(c->strongest[v], flattened(c, level->pair_weight[i]));
    for (int32_t net = 0; net < level->nets; net++) {
        const int32_t pins = level->net_start[net + 1] - level->net_start[net];
        for (int32_t j = level->net_start[net]; j < level->net_start[net + 1]; j++) {
            double *strongest = &c->strongest[level->net_pin[j]];
            *strongest = fmax(*strongest, flattened(c, level->net_weight[net]) / (pins - 1));
        }
    }
}

/* Joins each vertex to the cluster that it is tied to most, clusters staying below `share` of a part. */
static void cluster_vertices(Clustering *c, const int32_t *within, Random *random) {
    const Level *level = c->level;
    const int32_t n = level->n;
    int32_t *order = must_alloc(n, sizeof *order), *waiting = must_alloc(n, sizeof *waiting);
    uint8_t *settled = must_alloc(n, sizeof *settled);
    for (int32_t v = 0; v < n; v++) order[v] = v, waiting[v] = -1;
    for (int32_t i = n - 1; i > 0; i--) {
        const int32_t j = random_below(random, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (int32_t turn = 0; turn < n; turn++) {
        const int32_t v = order[turn];
        if (settled[v]) continue;
        settled[v] = 1;
        int32_t count = 0, best = -1, nearest = -1, faint = -1;
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++) {
            const int32_t to = level->pair_to[i];
            const double weight = flattened(c, level->pair_weight[i]);
            if (weight < c->keen * c->strongest[to]) faint = to;
            else rate(c, c->cluster[to], weight, &count);
        }
        for (int32_t i = level->in_start[v]; i < level->in_start[v + 1]; i++) {
            const int32_t net = level->in_net[i], pins = level->net_start[net + 1] - level->net_start[net];
            if (pins > PINS_LOOKED_AT) continue;
            const double weight = flattened(c, level->net_weight[net]) / (pins - 1);
            for (int32_t j = level->net_start[net]; j < level->net_start[net + 1]; j++) {
                const int32_t to = level->net_pin[j];
                if (to == v) continue;
                if (weight < c->keen * c->strongest[to]) faint = to;
                else rate(c, c->cluster[to], weight, &count);
            }
        }
        const double mine = c->size[v];
        double most = 0, strongest = 0;
        for (int32_t i = 0; i < count; i++) {
            const int32_t cluster = c->touched[i];
            const double rating = c->rating[cluster] / c->size[cluster];
            if (c->rating[cluster] > strongest) strongest = c->rating[cluster], nearest = cluster;
            c->rating[cluster] = 0;
            if (cluster != v && rating > most && joins(c, v, cluster, mine, within)) most = rating, best = cluster;
        }
        if (nearest < 0) nearest = faint;
        if (best < 0 && nearest >= 0) {
            /* Its neighbour is full: whoever else was left there is the next best company. */
            if (waiting[nearest] >= 0 && joins(c, v, waiting[nearest], mine, within)) best = waiting[nearest];
            else waiting[nearest] = v;
        }
        if (best < 0) continue;
        c->cluster[v] = best;
        c->size[best] += mine;
        settled[best] = 1;
    }
    free(order), free(waiting), free(settled);
}

/* Sums up the needs of each cluster. */
static void sum_needs(const Level *level, const Site *site, const int32_t *coarse, int32_t n, int32_t *start,
                      int32_t *what, double *amount) {
    int32_t *first = must_alloc(n + 1, sizeof *first), *fine = must_alloc(level->n, sizeof *fine);
    for (int32_t v = 0; v < level->n; v++)
        if (coarse[v] >= 0) first[coarse[v] + 1]++;
    for (int32_t c = 0; c < n; c++) first[c + 1] += first[c];
    const int32_t all = first[n];
    for (int32_t v = level->n - 1; v >= 0; v--)
        if (coarse[v] >= 0) fine[--first[coarse[v] + 1]] = v;
    double *sum = must_alloc(site->resources, sizeof *sum);
    int32_t kept = 0;
    for (int32_t c = 0; c < n; c++) {
        const int32_t from = first[c + 1], to = c + 1 < n ? first[c + 2] : all;
        for (int32_t i = from; i < to; i++)
            for (int32_t j = level->need_start[fine[i]]; j < level->need_start[fine[i] + 1]; j++)
                sum[level->need_what[j]] += level->need_amount[j];
        for (int32_t i = from; i < to; i++)
            for (int32_t j = level->need_start[fine[i]]; j < level->need_start[fine[i] + 1]; j++) {
                const int32_t r = level->need_what[j];
                if (sum[r] == 0) continue;
                int32_t at = kept++;
                for (; at > start[c] && what[at - 1] > r; at--) what[at] = what[at - 1], amount[at] = amount[at - 1];
                what[at] = r;
                amount[at] = sum[r];
                sum[r] = 0;
            }
        start[c + 1] = kept;
    }
    free(first), free(fine), free(sum);
}

/* The level's pairs and nets between clusters; those inside one vanish. Returns how many there are. */
static int32_t contract_nets(const Level *level, const int32_t *coarse, int32_t clusters, int32_t *start, int32_t *pin,
                             double *weight) {
    int32_t nets = 0, pins = 0;
    for (int32_t v = 0; v < level->n; v++)
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++) {
            const int32_t to = level->pair_to[i];
            if (to < v || coarse[to] == coarse[v] || coarse[v] < 0 || coarse[to] < 0) continue;
            pin[pins++] = coarse[v];
            pin[pins++] = coarse[to];
            weight[nets] = level->pair_weight[i];
            start[++nets] = pins;
        }
    int32_t *seen = must_alloc(clusters, sizeof *seen);
    for (int32_t net = 0; net < level->nets; net++) {
        const int32_t first = pins;
        for (int32_t i = level->net_start[net]; i < level->net_start[net + 1]; i++) {
            const int32_t cluster = coarse[level->net_pin[i]];
            if (cluster < 0 || seen[cluster] == net + 1) continue;
            seen[cluster] = net + 1;
            pin[pins++] = cluster;
        }
        if (pins - first < 2) {
            pins = first;
            continue;
        }
        weight[nets] = level->net_weight[net];
        start[++nets] = pins;
    }
    free(seen);
    return nets;
}

/* The level seen through `map`: vertices with one number become one, those with -1 are left out. */
Level *level_mapped(const Level *level, const Site *site, const int32_t *map, int32_t clusters) {
    const int32_t pairs = level->pair_start[level->n] / 2, wide = level->net_start[level->nets];
    int32_t *start = must_alloc(pairs + level->nets + 1, sizeof *start), *pin = must_alloc(2 * pairs + wide, sizeof *pin);
    double *weight = must_alloc(pairs + level->nets, sizeof *weight);
    const int32_t nets = contract_nets(level, map, clusters, start, pin, weight);
    int32_t *need_start = must_alloc(clusters + 1, sizeof *need_start);
    int32_t *what = must_alloc(level->need_start[level->n], sizeof *what);
    double *amount = must_alloc(level->need_start[level->n], sizeof *amount);
    sum_needs(level, site, map, clusters, need_start, what, amount);
    int32_t *color = must_alloc(clusters, sizeof *color), *fixed = must_alloc(clusters, sizeof *fixed);
    for (int32_t v = 0; v < level->n; v++)
        if (map[v] >= 0) color[map[v]] = level->color[v], fixed[map[v]] = level->fixed[v];
    Level *next = level_new(clusters, nets, start, pin, weight, need_start, what, amount, color, fixed);
    free(start), free(pin), free(weight), free(need_start), free(what), free(amount), free(color), free(fixed);
    return next;
}

/* The next coarser level, or NULL where there is little to join. Clusters stay below the trial's share of a part, and where
 * `within` is given, inside its parts. */
Level *level_coarser(Level *level, const Site *site, const Trial *trial, const int32_t *within, Random *random) {
    const int32_t n = level->n;
    Clustering c = {.level = level, .site = site, .share = trial->share, .flat = trial->flat, .keen = trial->keen};
    c.cluster = must_alloc(n, sizeof *c.cluster);
    c.size = must_alloc(n, sizeof *c.size);
    c.rating = must_alloc(n, sizeof *c.rating);
    c.touched = must_alloc(n, sizeof *c.touched);
    for (int32_t v = 0; v < n; v++) c.cluster[v] = v, c.size[v] = bulk(level, site, v);
    c.strongest = must_alloc(n, sizeof *c.strongest);
    if (c.keen > 0) find_strongest(&c);
    cluster_vertices(&c, within, random);
    free(c.strongest);
    int32_t *coarse = must_alloc(n, sizeof *coarse), *number = c.touched, clusters = 0;
    for (int32_t v = 0; v < n; v++)
        if (c.cluster[v] == v) number[v] = clusters++;
    for (int32_t v = 0; v < n; v++) coarse[v] = number[c.cluster[v]];
    Level *next = NULL;
    if (clusters <= n * 0.95) {
        next = level_mapped(level, site, coarse, clusters);
        free(level->coarse);
        level->coarse = coarse;
    } else {
        free(coarse);
    }
    free(c.cluster), free(c.size), free(c.rating), free(c.touched);
    return next;
}
