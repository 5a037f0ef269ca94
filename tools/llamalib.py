"""A thin ctypes view of llama.cpp's shared library, to compare with: one model, one sequence, all logits.

The structures are those of llama.h of the build that golden files name in their first line; a library of
another age has other structures, so `Library` checks the defaults it gets back before it trusts them.
"""
import ctypes as C
import os

import numpy as np

F32, F16 = 0, 1


class ModelParams(C.Structure):
    _fields_ = [("devices", C.c_void_p), ("buft_overrides", C.c_void_p), ("n_gpu_layers", C.c_int32),
                ("split_mode", C.c_int), ("load_mode", C.c_int), ("lazy_mode", C.c_int), ("main_gpu", C.c_int32),
                ("tensor_split", C.c_void_p), ("progress", C.c_void_p), ("progress_data", C.c_void_p),
                ("kv_overrides", C.c_void_p), ("flags", C.c_bool * 6)]


class ContextParams(C.Structure):
    _fields_ = [(n, C.c_uint32) for n in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "n_outputs_max",
                                          "n_outputs_max_per_seq")] + \
               [("n_threads", C.c_int32), ("n_threads_batch", C.c_int32)] + \
               [(n, C.c_int) for n in ("ctx_type", "rope_scaling_type", "pooling_type", "attention_type",
                                       "flash_attn_type")] + \
               [(n, C.c_float) for n in ("rope_freq_base", "rope_freq_scale", "yarn_ext_factor", "yarn_attn_factor",
                                         "yarn_beta_fast", "yarn_beta_slow")] + \
               [("yarn_orig_ctx", C.c_uint32), ("defrag_thold", C.c_float), ("cb_eval", C.c_void_p),
                ("cb_eval_data", C.c_void_p), ("type_k", C.c_int), ("type_v", C.c_int), ("abort", C.c_void_p),
                ("abort_data", C.c_void_p), ("flags", C.c_bool * 6), ("samplers", C.c_void_p),
                ("n_samplers", C.c_size_t), ("ctx_other", C.c_void_p)]


class Batch(C.Structure):
    _fields_ = [("n_tokens", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p),
                ("pos", C.POINTER(C.c_int32)), ("n_seq_id", C.POINTER(C.c_int32)),
                ("seq_id", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8))]


LOG = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)


class Library:
    def __init__(self, folder):
        lib = self.lib = C.CDLL(os.path.join(folder, "libllama.so"))
        self.quiet = LOG(lambda level, text, data: None)
        lib.llama_log_set(self.quiet, None)
        lib.llama_model_default_params.restype = ModelParams
        lib.llama_context_default_params.restype = ContextParams
        lib.llama_model_load_from_file.restype = C.c_void_p
        lib.llama_model_load_from_file.argtypes = [C.c_char_p, ModelParams]
        lib.llama_init_from_model.restype = C.c_void_p
        lib.llama_init_from_model.argtypes = [C.c_void_p, ContextParams]
        lib.llama_batch_init.restype = Batch
        lib.llama_batch_init.argtypes = [C.c_int32] * 3
        lib.llama_decode.argtypes = [C.c_void_p, Batch]
        lib.llama_get_logits_ith.restype = C.POINTER(C.c_float)
        lib.llama_get_logits_ith.argtypes = [C.c_void_p, C.c_int32]
        for name in ("llama_model_get_vocab", "llama_get_memory"):
            getattr(lib, name).restype = C.c_void_p
            getattr(lib, name).argtypes = [C.c_void_p]
        lib.llama_vocab_n_tokens.argtypes = [C.c_void_p]
        lib.llama_memory_clear.argtypes = [C.c_void_p, C.c_bool]
        lib.llama_free.argtypes = lib.llama_model_free.argtypes = lib.llama_batch_free.argtypes = None
        lib.llama_tokenize.argtypes = [C.c_void_p, C.c_char_p, C.c_int32, C.POINTER(C.c_int32), C.c_int32,
                                       C.c_bool, C.c_bool]
        lib.llama_backend_init()
        if lib.llama_context_default_params().type_k != F16 or lib.llama_context_default_params().n_batch != 2048:
            raise RuntimeError("libllama.so has other structures than this file describes")

    def open(self, path, exact=False, threads=2, ctx=512):
        return Model(self, path, exact, threads, ctx)


class Model:
    """`exact` asks for a 32-bit cache and no flash attention; without it everything is the library's default."""

    def __init__(self, library, path, exact, threads, ctx):
        lib = self.lib = library.lib
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp refuses {path}")
        p = lib.llama_context_default_params()
        p.n_ctx, p.n_threads, p.n_threads_batch = ctx, threads, threads
        if exact:
            p.type_k = p.type_v = F32
            p.flash_attn_type = 0
        self.context = lib.llama_init_from_model(self.model, p)
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.n_vocab = lib.llama_vocab_n_tokens(self.vocab)

    def tokenize(self, text, special=True):
        raw = text.encode()
        out = (C.c_int32 * (len(raw) + 16))()
        n = self.lib.llama_tokenize(self.vocab, raw, len(raw), out, len(out), True, special)
        return list(out[:n])

    def logits(self, ids, first=0, step=None):
        """Logits of positions first ..., shape [len(ids) - first, V]; `step` tokens per call, all at once without."""
        lib = self.lib
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)
        rows, step = [], step or len(ids)
        batch = lib.llama_batch_init(step, 0, 1)
        for begin in range(0, len(ids), step):
            part = ids[begin:begin + step]
            batch.n_tokens = len(part)
            for i, token in enumerate(part):
                batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, begin + i, 1
                batch.seq_id[i][0], batch.logits[i] = 0, 1
            if lib.llama_decode(self.context, batch):
                raise RuntimeError("llama_decode failed")
            for i in range(len(part)):
                if begin + i >= first:
                    row = lib.llama_get_logits_ith(self.context, i)
                    rows.append(np.ctypeslib.as_array(row, (self.n_vocab,)).copy())
        return np.stack(rows)
