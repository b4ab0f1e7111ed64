/* Levels: the hypergraph as given, and coarser pictures of it in which clusters of vertices are one. */
#include "embed.h"

#include <stdlib.h>
#include <string.h>

void *must_alloc(int64_t count, int64_t size) {
    void *memory = calloc((size_t)(count > 0 ? count : 1), (size_t)size);
    if (memory == NULL) abort();
    return memory;
}

typedef struct { int32_t to, turn; double weight; } End;

static int by_end(const void *one, const void *other) {
    const End *a = one, *b = other;
    return a->to != b->to ? (a->to > b->to) - (a->to < b->to) : a->turn - b->turn;
}

/* Adjacency of the nets with two pins, parallel ones joined. */
static void make_pairs(Level *level, int32_t nets, const int32_t *start, const int32_t *pin, const double *weight) {
    const int32_t n = level->n;
    int32_t *from = must_alloc(n + 1, sizeof *from);
    for (int32_t net = 0; net < nets; net++)
        if (start[net + 1] - start[net] == 2)
            for (int32_t i = start[net]; i < start[net + 1]; i++) from[pin[i] + 1]++;
    for (int32_t v = 0; v < n; v++) from[v + 1] += from[v];
    End *ends = must_alloc(from[n], sizeof *ends);
    int32_t *fill = must_alloc(n, sizeof *fill);
    memcpy(fill, from, (size_t)n * sizeof *fill);
    for (int32_t net = 0; net < nets; net++) {
        if (start[net + 1] - start[net] != 2) continue;
        const int32_t a = pin[start[net]], b = pin[start[net] + 1];
        ends[fill[a]++] = (End){b, net, weight[net]};
        ends[fill[b]++] = (End){a, net, weight[net]};
    }
    level->pair_start = must_alloc(n + 1, sizeof *level->pair_start);
    level->pair_to = must_alloc(from[n], sizeof *level->pair_to);
    level->pair_weight = must_alloc(from[n], sizeof *level->pair_weight);
    int32_t kept = 0;
    for (int32_t v = 0; v < n; v++) {
        const int32_t first = kept;
        qsort(ends + from[v], (size_t)(from[v + 1] - from[v]), sizeof *ends, by_end);
        for (int32_t i = from[v]; i < from[v + 1]; i++) {
            if (kept > first && level->pair_to[kept - 1] == ends[i].to) {
                level->pair_weight[kept - 1] += ends[i].weight;
                continue;
            }
            level->pair_to[kept] = ends[i].to;
            level->pair_weight[kept++] = ends[i].weight;
        }
        level->pair_start[v + 1] = kept;
    }
    free(from), free(fill), free(ends);
}

/* The nets with three pins and more, and for each vertex those it is in. */
static void make_nets(Level *level, int32_t nets, const int32_t *start, const int32_t *pin, const double *weight) {
    int32_t wide = 0, pins = 0;
    for (int32_t net = 0; net < nets; net++)
        if (start[net + 1] - start[net] > 2) wide++, pins += start[net + 1] - start[net];
    level->nets = wide;
    level->net_start = must_alloc(wide + 1, sizeof *level->net_start);
    level->net_pin = must_alloc(pins, sizeof *level->net_pin);
    level->net_weight = must_alloc(wide, sizeof *level->net_weight);
    level->in_start = must_alloc(level->n + 1, sizeof *level->in_start);
    level->in_net = must_alloc(pins, sizeof *level->in_net);
    wide = pins = 0;
    for (int32_t net = 0; net < nets; net++) {
        if (start[net + 1] - start[net] <= 2) continue;
        for (int32_t i = start[net]; i < start[net + 1]; i++) {
            level->net_pin[pins++] = pin[i];
            level->in_start[pin[i] + 1]++;
        }
        level->net_weight[wide] = weight[net];
        level->net_start[++wide] = pins;
    }
    for (int32_t v = 0; v < level->n; v++) level->in_start[v + 1] += level->in_start[v];
    int32_t *fill = must_alloc(level->n, sizeof *fill);
    memcpy(fill, level->in_start, (size_t)level->n * sizeof *fill);
    for (int32_t net = 0; net < wide; net++)
        for (int32_t i = level->net_start[net]; i < level->net_start[net + 1]; i++)
            level->in_net[fill[level->net_pin[i]]++] = net;
    free(fill);
}

typedef struct { int32_t vertex; const Level *level; } Needer;

static int by_need(const void *one, const void *other) {
    const Needer *a = one, *b = other;
    const Level *level = a->level;
    const int32_t i = level->need_start[a->vertex], j = level->need_start[b->vertex];
    const int32_t many = level->need_start[a->vertex + 1] - i, others = level->need_start[b->vertex + 1] - j;
    if (many != others) return (many > others) - (many < others);
    for (int32_t s = 0; s < many; s++) {
        if (level->need_what[i + s] != level->need_what[j + s]) return level->need_what[i + s] < level->need_what[j + s] ? -1 : 1;
        if (level->need_amount[i + s] != level->need_amount[j + s])
            return level->need_amount[i + s] < level->need_amount[j + s] ? -1 : 1;
    }
    return 0;
}

static void number_shapes(Level *level) {
    Needer *order = must_alloc(level->n, sizeof *order);
    for (int32_t v = 0; v < level->n; v++) order[v] = (Needer){v, level};
    qsort(order, (size_t)level->n, sizeof *order, by_need);
    level->shape = must_alloc(level->n, sizeof *level->shape);
    for (int32_t i = 0, shape = 0; i < level->n; i++) {
        if (i > 0 && by_need(&order[i - 1], &order[i]) != 0) shape++;
        level->shape[order[i].vertex] = shape;
    }
    free(order);
}

static void *copied(const void *from, int64_t count, int64_t size) {
    void *memory = must_alloc(count, size);
    if (count > 0) memcpy(memory, from, (size_t)(count * size));
    return memory;
}

Level *level_new(int32_t n, int32_t nets, const int32_t *net_start, const int32_t *net_pin, const double *net_weight,
                 const int32_t *need_start, const int32_t *need_what, const double *need_amount, const int32_t *color,
                 const int32_t *fixed) {
    Level *level = must_alloc(1, sizeof *level);
    level->n = n;
    make_pairs(level, nets, net_start, net_pin, net_weight);
    make_nets(level, nets, net_start, net_pin, net_weight);
    level->need_start = copied(need_start, n + 1, sizeof *need_start);
    level->need_what = copied(need_what, need_start[n], sizeof *need_what);
    level->need_amount = copied(need_amount, need_start[n], sizeof *need_amount);
    level->color = copied(color, n, sizeof *color);
    level->fixed = copied(fixed, n, sizeof *fixed);
    number_shapes(level);
    return level;
}

void level_free(Level *level) {
    free(level->pair_start), free(level->pair_to), free(level->pair_weight);
    free(level->net_start), free(level->net_pin), free(level->net_weight), free(level->in_start), free(level->in_net);
    free(level->need_start), free(level->need_what), free(level->need_amount), free(level->shape);
    free(level->color), free(level->fixed), free(level->coarse);
    free(level);
}
