// Sizes of cache pages and moves of one token's bits inside and between them. Only bytes are moved,
// so there is one version for every level.
#include <string.h>

#include "kernel/kv.h"

size_t cop_kv_page_bytes(cop_kv_type type, int head) {
    const size_t plane = (size_t)COP_PAGE * (size_t)head * cop_kv_element_bytes(type);
    return type == COP_KV_Q8_0 ? plane + (size_t)COP_PAGE * (size_t)(head / COP_BLOCK) * sizeof(float) : plane;
}

// `step` elements lie between one element of a token and the next.
static void move(uint8_t *to, const uint8_t *from, int n, size_t step, size_t bytes) {
    if (step == 1) {
        memmove(to, from, (size_t)n * bytes);
        return;
    }
    for (int i = 0; i < n; i++) memmove(to + (size_t)i * step * bytes, from + (size_t)i * step * bytes, bytes);
}

void cop_kv_copy_key(cop_kv_type type, uint8_t *to, int to_slot, const uint8_t *from, int from_slot, int head) {
    const size_t bytes = cop_kv_element_bytes(type), scales = cop_kv_scales_offset(head);
    move(to + cop_kv_key_at(to_slot, 0, head) * bytes, from + cop_kv_key_at(from_slot, 0, head) * bytes, head,
         COP_KV_GROUP, bytes);
    if (type != COP_KV_Q8_0) return;
    move(to + scales + cop_kv_key_scale_at(to_slot, 0, head) * sizeof(float),
         from + scales + cop_kv_key_scale_at(from_slot, 0, head) * sizeof(float), head / COP_BLOCK, COP_KV_GROUP,
         sizeof(float));
}

void cop_kv_copy_value(cop_kv_type type, uint8_t *to, int to_slot, const uint8_t *from, int from_slot, int head) {
    const size_t bytes = cop_kv_element_bytes(type), scales = cop_kv_scales_offset(head);
    move(to + cop_kv_value_at(to_slot, 0, head) * bytes, from + cop_kv_value_at(from_slot, 0, head) * bytes, head, 1,
         bytes);
    if (type != COP_KV_Q8_0) return;
    move(to + scales + cop_kv_value_scale_at(to_slot, 0, head) * sizeof(float),
         from + scales + cop_kv_value_scale_at(from_slot, 0, head) * sizeof(float), head / COP_BLOCK, 1,
         sizeof(float));
}
