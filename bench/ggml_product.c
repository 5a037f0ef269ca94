// llama.cpp's own product of a 4096 x 4096 matrix with n rows, for bench/compare_ggml: through its graph and its
// backend, weights in its repacked buffers where it has them, as llama.cpp itself would hold them.
// usage: ggml_product TYPE N THREADS   prints microseconds per matrix, the best of 15 rounds
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define K 4096
#define MATRICES 16

static enum ggml_type find_type(const char *name) {
    for (int t = 0; t < GGML_TYPE_COUNT; t++)
        if (ggml_type_name(t) && !strcasecmp(ggml_type_name(t), name)) return t;
    fprintf(stderr, "no type %s\n", name);
    exit(2);
}

// The first of the CPU's special buffers that can compute this product, else the plain one.
static ggml_backend_buffer_type_t buffer_for(ggml_backend_dev_t cpu, struct ggml_tensor *product) {
    ggml_backend_dev_get_extra_bufts_t get =
        (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts");
    for (ggml_backend_buffer_type_t *b = get ? get(cpu) : NULL; b && *b; b++) {
        ggml_backend_buffer_t probe = ggml_backend_buft_alloc_buffer(*b, 0);
        product->src[0]->buffer = probe;
        bool fits = ggml_backend_dev_supports_op(cpu, product);
        product->src[0]->buffer = NULL;
        ggml_backend_buffer_free(probe);
        if (fits) return *b;
    }
    return ggml_backend_dev_buffer_type(cpu);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    enum ggml_type type = find_type(argv[1]);
    int n = (int)strtol(argv[2], NULL, 10), threads = (int)strtol(argv[3], NULL, 10);
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_t backend = ggml_backend_cpu_init();
    ggml_backend_cpu_set_n_threads(backend, threads);

    struct ggml_init_params p = {ggml_tensor_overhead() * 4 * MATRICES + (1 << 20), NULL, true};
    struct ggml_context *weights = ggml_init(p), *work = ggml_init(p);
    struct ggml_tensor *w[MATRICES], *x = ggml_new_tensor_2d(work, GGML_TYPE_F32, K, n), *y[MATRICES];
    struct ggml_cgraph *graph = ggml_new_graph(work);
    for (int i = 0; i < MATRICES; i++) {
        w[i] = ggml_new_tensor_2d(weights, type, K, K);
        y[i] = ggml_mul_mat(work, w[i], x);
        ggml_build_forward_expand(graph, y[i]);
    }
    ggml_backend_buffer_type_t kind = buffer_for(cpu, y[0]);
    ggml_backend_alloc_ctx_tensors_from_buft(weights, kind);
    ggml_backend_alloc_ctx_tensors(work, backend);

    float *f = malloc(sizeof(float) * K * K);
    void *q = malloc(ggml_nbytes(w[0]));
    for (int i = 0; i < K * K; i++) f[i] = (float)((i * 2654435761u >> 8) % 2001) * 1e-3f - 1;
    ggml_quantize_chunk(type, f, q, 0, K, K, NULL);
    for (int i = 0; i < MATRICES; i++) ggml_backend_tensor_set(w[i], q, 0, ggml_nbytes(w[i]));
    ggml_backend_tensor_set(x, f, 0, ggml_nbytes(x));

    double best = 1e30;
    for (int round = 0; round < 16; round++) {
        int64_t start = ggml_time_us();
        ggml_backend_graph_compute(backend, graph);
        double us = (double)(ggml_time_us() - start) / MATRICES;
        if (round && us < best) best = us;
    }
    printf("%.1f %s\n", best, ggml_backend_buft_name(kind));
    return 0;
}
