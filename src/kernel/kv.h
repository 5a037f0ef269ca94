// Where an element of a key or a value lies in its page (the layouts of kernel.h), for every level.
// Offsets are in elements of the plane, and in floats of the scales that follow it (Q8_0 only).
#ifndef COP_KERNEL_KV_H
#define COP_KERNEL_KV_H

#include "kernel/kernel.h"

#define COP_KV_GROUP 16  // tokens side by side in the keys

static inline size_t cop_kv_element_bytes(cop_kv_type type) {
    return type == COP_KV_F32 ? 4 : type == COP_KV_Q8_0 ? 1 : 2;
}

/* Element d of the key in slot i; of the value in slot i. */
static inline size_t cop_kv_key_at(int slot, int d, int head) {
    return ((size_t)(slot / COP_KV_GROUP) * (size_t)head + (size_t)d) * COP_KV_GROUP + (size_t)(slot % COP_KV_GROUP);
}
static inline size_t cop_kv_value_at(int slot, int d, int head) { return (size_t)slot * (size_t)head + (size_t)d; }

/* The scales of a Q8_0 page, and the scale of block d / 32, which has the key's or the value's own order. */
static inline size_t cop_kv_scales_offset(int head) { return (size_t)COP_PAGE * (size_t)head; }
static inline size_t cop_kv_key_scale_at(int slot, int block, int head) {
    return cop_kv_key_at(slot, block, head / COP_BLOCK);
}
static inline size_t cop_kv_value_scale_at(int slot, int block, int head) {
    return cop_kv_value_at(slot, block, head / COP_BLOCK);
}

#endif
