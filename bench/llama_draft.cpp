// llama.cpp's own drafting on given prompts, for bench/compare_llama_draft, which builds it.
//
// usage: llama_draft MODEL DRAFT_MODEL|- THREADS CTX TYPE ...
// TYPE: none, or one of its names for --spec-type, with :A[,B] behind it the length of the key and of the draft
// (n-grams) or of the draft (draft-simple); without, its defaults. A line of input is the number of tokens to generate
// and the tokens of a prompt; for each, a line per type: TYPE TOKENS SECONDS FORWARDS DRAFTED ACCEPTED HASH.
// Greedy. The prompt is read once and stays in the cache of the target; reading it is in no time, nor is the draft
// model's reading of it. Types run one after the other, in an order that begins elsewhere with each prompt.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common.h"
#include "llama.h"
#include "speculative.h"

struct Type {
    std::string text;
    common_speculative_type kind;
    int first = 0, second = 0;
};

static Type parse_type(const std::string &text) {
    size_t colon = text.find(':');
    Type t = {text, common_speculative_type_from_name(text.substr(0, colon))};
    if (t.kind == COMMON_SPECULATIVE_TYPE_COUNT) {
        std::cerr << "no type " << text << "\n";
        std::exit(2);
    }
    if (colon != std::string::npos) std::sscanf(text.c_str() + colon + 1, "%d,%d", &t.first, &t.second);
    return t;
}

static void set_lengths(common_params_speculative &p, const Type &t) {
    p.types = {t.kind};
    for (auto *map : {&p.ngram_simple, &p.ngram_map_k, &p.ngram_map_k4v}) {
        if (t.first > 0) map->size_n = (uint16_t)t.first;
        if (t.second > 0) map->size_m = (uint16_t)t.second;
    }
    if (t.first > 0) p.ngram_mod.n_match = p.draft.n_max = t.first;
    if (t.second > 0) p.ngram_mod.n_max = t.second, p.ngram_mod.n_min = t.second < p.ngram_mod.n_min ? t.second : p.ngram_mod.n_min;
}

struct Bench {
    common_params params;
    llama_context *target = nullptr, *draft = nullptr;
    const llama_vocab *vocab = nullptr;
    int n_vocab = 0;
};

struct Result {
    int64_t tokens = 0, forwards = 0, drafted = 0, accepted = 0;
    double seconds = 0;
    uint64_t hash = 14695981039346656037u;
};

static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

static llama_token best(const Bench &b, int row) {
    const float *logits = llama_get_logits_ith(b.target, row);
    llama_token top = 0;
    for (int i = 1; i < b.n_vocab; i++)
        if (logits[i] > logits[top]) top = i;
    return top;
}

static void decode(llama_context *context, common_batch &batch) {
    if (llama_process(context, LLAMA_PROCESS_TYPE_DECODE, batch.get())) {
        std::cerr << "llama.cpp: a forward failed\n";
        std::exit(1);
    }
}

// All of the prompt but its last token, which the first step computes.
static void read_prompt(Bench &b, const llama_tokens &prompt, common_batch &batch) {
    batch.clear();
    for (size_t i = 0; i + 1 < prompt.size(); i++) batch.add(prompt[i], (llama_pos)i, 0, false);
}

static void keep_first(llama_context *context, int n) {
    if (context) llama_memory_seq_rm(llama_get_memory(context), 0, n, -1);
}

// One step: draft, compute the last token and the draft, keep what the target says itself.
static bool step(Bench &b, common_speculative *spec, llama_tokens &past, llama_token &last, int room, common_batch &batch, Result &r) {
    llama_tokens guess;
    if (spec) {
        common_speculative_get_draft_params(spec, 0) = {true, room - 1, (llama_pos)past.size(), last, &past, &guess};
        common_speculative_draft(spec);
        keep_first(b.draft, (int)past.size());
    }
    batch.clear();
    batch.add(last, (llama_pos)past.size(), 0, true);
    for (size_t i = 0; i < guess.size(); i++) batch.add(guess[i], (llama_pos)(past.size() + 1 + i), 0, true);
    decode(b.target, batch);
    if (spec) common_speculative_process(spec, batch);
    bool ended = false;
    size_t n = 0;
    for (;; n++) {
        llama_token token = best(b, (int)n);
        past.push_back(last);
        last = token;
        r.tokens++;
        r.hash = (r.hash ^ (uint64_t)token) * 1099511628211u;
        ended = llama_vocab_is_eog(b.vocab, token);
        if (ended || (int)n + 1 >= room || n == guess.size() || guess[n] != token) break;
    }
    if (spec) common_speculative_accept(spec, 0, (uint16_t)n);
    keep_first(b.target, (int)past.size());
    keep_first(b.draft, (int)past.size());
    r.forwards++;
    r.drafted += (int64_t)guess.size();
    r.accepted += (int64_t)n;
    return !ended;
}

static Result run(Bench &b, const Type &type, const llama_tokens &prompt, int n) {
    common_params_speculative p = b.params.speculative;
    set_lengths(p, type);
    common_batch batch(b.target);
    common_speculative *spec = nullptr;
    Result r;
    keep_first(b.draft, 0);
    if (type.kind != COMMON_SPECULATIVE_TYPE_NONE) {
        spec = common_speculative_init(p, 1);
        if (!spec) {
            std::cerr << "llama.cpp refuses type " << type.text << "\n";
            std::exit(1);
        }
        read_prompt(b, prompt, batch);
        if (batch.size()) common_speculative_process(spec, batch);
    }
    llama_tokens past(prompt.begin(), prompt.end() - 1);
    llama_token last = prompt.back();
    double start = now();
    if (spec) common_speculative_begin(spec, 0, past);
    while (r.tokens < n && step(b, spec, past, last, n - (int)r.tokens, batch, r)) {}
    r.seconds = now() - start;
    if (spec) common_speculative_free(spec);
    keep_first(b.target, (int)prompt.size() - 1);
    return r;
}

static void answer(Bench &b, const std::vector<Type> &types, const llama_tokens &prompt, int n, size_t turn) {
    common_batch batch(b.target);
    keep_first(b.target, 0);
    read_prompt(b, prompt, batch);
    if (batch.size()) decode(b.target, batch);
    for (size_t i = 0; i < types.size(); i++) {
        const Type &t = types[(i + turn) % types.size()];
        Result r = run(b, t, prompt, n);
        std::printf("%s %lld %.6f %lld %lld %lld %016llx\n", t.text.c_str(), (long long)r.tokens, r.seconds, (long long)r.forwards,
                    (long long)r.drafted, (long long)r.accepted, (unsigned long long)r.hash);
    }
    std::fflush(stdout);
}

static common_params parameters(char **argv, const std::vector<Type> &types) {
    common_params p;
    int threads = std::atoi(argv[3]), most = 64;
    p.model.path = argv[1];
    p.n_ctx = p.n_batch = std::atoi(argv[4]);
    p.fit_params = false;
    for (common_cpu_params *cpu : {&p.cpuparams, &p.cpuparams_batch, &p.speculative.draft.cpuparams, &p.speculative.draft.cpuparams_batch})
        cpu->n_threads = threads;
    if (std::string(argv[2]) != "-") p.speculative.draft.mparams.path = argv[2];
    for (const Type &t : types) most = std::max(most, std::max(t.first, t.second) + 1);
    auto limits = common_speculative_get_output_limits(p.n_batch, 1, most);
    p.n_outputs_max = limits.total;
    p.n_outputs_max_per_seq = limits.per_seq;
    return p;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        std::cerr << "usage: llama_draft MODEL DRAFT_MODEL|- THREADS CTX TYPE ...\n";
        return 2;
    }
    std::vector<Type> types;
    for (int i = 5; i < argc; i++) types.push_back(parse_type(argv[i]));
    llama_log_set([](ggml_log_level level, const char *text, void *) { if (level == GGML_LOG_LEVEL_ERROR) std::cerr << text; }, nullptr);
    llama_backend_init();
    Bench b;
    b.params = parameters(argv, types);
    auto opened = common_init_from_params(b.params);
    b.target = opened->context();
    if (!b.target) return 1;
    b.vocab = llama_model_get_vocab(opened->model());
    b.n_vocab = llama_vocab_n_tokens(b.vocab);
    common_params draft_params = common_base_params_to_speculative(b.params);
    auto second = common_speculative_init_from_params(draft_params, opened->model(), b.target);
    b.params.speculative.draft.ctx_tgt = b.target;
    b.params.speculative.draft.ctx_dft = b.draft = second->context();
    std::string line;
    for (size_t turn = 0; std::getline(std::cin, line); turn++) {
        std::istringstream in(line);
        int n;
        llama_token id;
        llama_tokens prompt;
        in >> n;
        while (in >> id) prompt.push_back(id);
        if (!prompt.empty()) answer(b, types, prompt, n, turn);
    }
    return 0;
}
