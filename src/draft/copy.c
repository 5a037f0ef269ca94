// Copy drafters: what followed the same tokens earlier in the text is proposed again.
// Policies (option `policy`; `--draft input` is the last one with room for long copies):
//   longest   of earlier occurrences the longest match wins, then the newest; a longer match proposes more,
//             because on a CPU every row that is computed for nothing costs
//   vote      all occurrences vote, longer matches with more weight; the tree branches where they disagree
//   lookup    as published: `order` tokens down to one, the earliest match with `depth` tokens behind it
//             (Saxena 2023, prompt lookup decoding)
//   copyspec  as published: the first occurrence of the last `order` tokens (Dumitru et al. 2025, arXiv:2502.08923)
//   input     the prompt is copied from where the output stands in it; after a deviation a run of up to `order`
//             tokens that occurs once in the prompt says where to go on (Ge et al. 2022, arXiv:2205.10350)
// Cost:   a rolling hash per token and at most `look` comparisons a step; lookup, copyspec, and input where it lost
//         its place scan the text, 4 tokens a nanosecond. 4 bytes a token and 256 KiB a session.
// Not here: a fallback when nothing occurred before (another drafter behind a +).
#include <string.h>

#include "base/alloc.h"
#include "draft/draft.h"
#include "draft/frontier.h"

#define BUCKETS (1 << 16)
#define MOST_MATCH 64   // tokens compared backwards: longer matches are all alike
#define MOST_VOTERS 64  // a set of them is one word
#define MOST_DEPTH 63
#define BASE 0x9e3779b1u  // of the rolling hash

enum { LONGEST, VOTE, LOOKUP, COPYSPEC, INPUT };

typedef struct copy {
    int32_t policy, order, depth, look, from, to;  // options
    int32_t max_tokens;
    // Where runs of `order` tokens ended.
    int32_t *newest;     // [BUCKETS] newest run with this hash, 0: none
    int32_t *older;      // [max_tokens + 1] the one before it
    int32_t n_indexed;
    uint32_t hash, drop;  // of the run that ends at n_indexed; BASE to the power of order
    // vote
    int32_t end[MOST_VOTERS], length[MOST_VOTERS];
    cop_frontier frontier;
    cop_belief belief[COP_BUCKETS];
    int32_t tip[MOST_VOTERS], n_tips, tip_at;  // what was proposed for position tip_at, to be judged
    uint8_t tip_bucket[MOST_VOTERS];
    // input
    int32_t place, n_followed;  // next token to copy, -1: lost; tokens of the output that were followed
} copy;

static void stop(void *state) {
    copy *c = state;
    cop_free(c->newest);
    cop_free(c->older);
    cop_frontier_fini(&c->frontier);
}

static void reset(void *state) {
    copy *c = state;
    memset(c->newest, 0, BUCKETS * sizeof *c->newest);
    c->n_indexed = c->n_tips = c->n_followed = 0;
    c->hash = 0;
    c->place = -1;
}

static cop_status start(void *state, const cop_draft_setup *setup) {
    copy *c = state;
    c->max_tokens = setup->max_tokens;
    c->newest = cop_alloc_array(BUCKETS, sizeof *c->newest);
    c->older = cop_alloc_array((size_t)setup->max_tokens + 1, sizeof *c->older);
    cop_status st = cop_frontier_init(&c->frontier, (MOST_DEPTH + 1) * MOST_VOTERS);
    if (!st && (!c->newest || !c->older)) st = cop_fail(COP_ERR_NOMEM, "drafter copy: cannot allocate for %d tokens", setup->max_tokens);
    if (st) {
        stop(c);
        return st;
    }
    c->drop = 1;
    for (int i = 0; i < c->order; i++) c->drop *= BASE;
    reset(c);
    return COP_OK;
}

// ---- occurrences --------------------------------------------------------------------------------

static uint32_t bucket_of(uint32_t hash) { return (hash ^ hash >> 15) * 0x85ebca6bu >> 16; }

// The hash of the last `order` tokens before `end`, from that before end - 1.
static uint32_t roll(const copy *c, uint32_t hash, const int32_t *tokens, int end) {
    hash = hash * BASE + (uint32_t)tokens[end - 1];
    return end > c->order ? hash - c->drop * (uint32_t)tokens[end - 1 - c->order] : hash;
}

// Index every run that ends before the last token: that one is what is looked up.
static void catch_up(copy *c, const cop_view *view) {
    int n = view->n_tokens - 1 < c->max_tokens ? view->n_tokens - 1 : c->max_tokens;
    if (c->n_indexed > n) reset(c);  // the sequence was cut
    for (int end = c->n_indexed + 1; end <= n; end++) {
        c->hash = roll(c, c->hash, view->tokens, end);
        if (end < c->order) continue;
        uint32_t b = bucket_of(c->hash);
        c->older[end] = c->newest[b];
        c->newest[b] = end;
    }
    c->n_indexed = n;
}

// How many tokens before `end` equal the last ones of the sequence.
static int match_length(const cop_view *view, int end) {
    int n = 0;
    while (n < MOST_MATCH && n < end && view->tokens[end - 1 - n] == view->tokens[view->n_tokens - 1 - n]) n++;
    return n;
}

// The ends of the newest runs that match, and how long each match is; how many.
static int find_matches(copy *c, const cop_view *view, int most) {
    int n = 0, looks = 0;
    if (view->n_tokens <= c->order || c->n_indexed != view->n_tokens - 1) return 0;
    uint32_t b = bucket_of(roll(c, c->hash, view->tokens, view->n_tokens));
    for (int end = c->newest[b]; end > 0 && looks < c->look && n < most; end = c->older[end], looks++) {
        int length = match_length(view, end);
        if (length < c->order) continue;
        c->end[n] = end;
        c->length[n++] = length;
    }
    return n;
}

// A copy that reaches the end of the text goes on with itself.
static int32_t copied(const cop_view *view, int end, int i) { return view->tokens[end + i % (view->n_tokens - end)]; }

// The match as it will be when the text has come this far.
static uint8_t confidence(int length) { return (uint8_t)(length < COP_BUCKETS ? length : COP_BUCKETS - 1); }

static void add_chain(const cop_view *view, cop_tree *tree, int end, int length, int n) {
    int node = COP_TREE_ROOT;
    for (int i = 0; i < n; i++) {
        int n_nodes = tree->n_nodes;
        node = cop_tree_add(tree, node, copied(view, end, i), COP_LOGP_NONE);
        if (node < 0) return;
        if (node == n_nodes) tree->nodes[node].bucket = confidence(length + i);
    }
}

// ---- longest ------------------------------------------------------------------------------------

static void propose_longest(copy *c, const cop_view *view, cop_tree *tree) {
    int n = find_matches(c, view, MOST_VOTERS), best = 0;
    if (!n) return;
    for (int i = 1; i < n; i++)
        if (c->length[i] > c->length[best]) best = i;
    int length = c->length[best];
    add_chain(view, tree, c->end[best], length, 2 * length < c->depth ? 2 * length : c->depth);
}

// ---- vote ---------------------------------------------------------------------------------------

static float weight_of(const copy *c, uint64_t set) {
    float sum = 0;
    for (; set; set &= set - 1) {
        float length = (float)c->length[__builtin_ctzll(set)];
        sum += length * length;
    }
    return sum;
}

static int longest_of(const copy *c, uint64_t set) {
    int longest = 0;
    for (; set; set &= set - 1)
        if (c->length[__builtin_ctzll(set)] > longest) longest = c->length[__builtin_ctzll(set)];
    return longest;
}

// Class of a group of voters: how long its longest match is, and its share of the votes.
static uint8_t vote_bucket(int length, float share, bool alone) {
    static const int8_t longer[15] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 26, 34, 46, 63};
    int much = 0;
    while (much < 15 && length > longer[much]) much++;
    return (uint8_t)(much << 2 | (share > 0.99f ? (alone ? 1 : 0) : share > 0.5f ? 2 : 3));
}

// The voters of `set` stand before token number `depth` of their copies: group them by that token.
static void push_groups(copy *c, const cop_view *view, uint64_t set, int depth, int node, float path) {
    float all = weight_of(c, set);
    for (uint64_t left = set; left;) {
        int first = __builtin_ctzll(left);
        cop_guess g = {.token = copied(view, c->end[first], depth), .parent = node, .high = depth + 1};
        uint64_t group = 0;
        for (uint64_t rest = left; rest; rest &= rest - 1) {
            int i = __builtin_ctzll(rest);
            if (copied(view, c->end[i], depth) == g.token) group |= (uint64_t)1 << i;
        }
        left &= ~group;
        float share = weight_of(c, group) / all;
        int length = longest_of(c, group) + depth;
        g.bucket = vote_bucket(length, share, !(group & (group - 1)));
        g.own = cop_belief_of(&c->belief[g.bucket], share * (1 - 1 / (float)(length + 1)));
        g.path = path * g.own;
        g.low = (int64_t)group;
        cop_frontier_push(&c->frontier, &g);
        if (node != COP_TREE_ROOT) continue;
        c->tip[c->n_tips] = g.token;
        c->tip_bucket[c->n_tips++] = g.bucket;
    }
}

static void judge_tips(copy *c, const cop_view *view) {
    if (c->tip_at < view->n_tokens)
        for (int i = 0; i < c->n_tips; i++) cop_belief_add(&c->belief[c->tip_bucket[i]], view->tokens[c->tip_at] == c->tip[i]);
    c->n_tips = 0;
}

static void propose_vote(copy *c, const cop_view *view, cop_tree *tree) {
    const float least = 0.1f;  // paths that are less probable are not worth a row
    judge_tips(c, view);
    c->tip_at = view->n_tokens;
    int n = find_matches(c, view, MOST_VOTERS), most = tree->n_nodes + c->depth;
    if (!n) return;
    cop_guess g;
    cop_frontier_clear(&c->frontier);
    push_groups(c, view, n < 64 ? ((uint64_t)1 << n) - 1 : UINT64_MAX, 0, COP_TREE_ROOT, 1);
    for (int tries = 0; tries < MOST_DEPTH && tree->n_nodes < most && cop_frontier_pop(&c->frontier, &g) && g.path > least; tries++) {
        int node = cop_guess_add(&g, tree);
        if (node >= 0) push_groups(c, view, (uint64_t)g.low, (int)g.high, node, g.path);
    }
}

// ---- lookup and copyspec ------------------------------------------------------------------------

// The end of the earliest run that equals the last n tokens and has `room` tokens behind it, or 0.
static int first_match(const cop_view *view, int n, int room) {
    const int32_t *suffix = view->tokens + view->n_tokens - n, last = suffix[n - 1];
    for (int end = n; end + room <= view->n_tokens && end < view->n_tokens; end++)
        if (view->tokens[end - 1] == last && !memcmp(view->tokens + end - n, suffix, (size_t)n * sizeof *suffix)) return end;
    return 0;
}

static void propose_first(copy *c, const cop_view *view, cop_tree *tree) {
    bool lookup = c->policy == LOOKUP;
    for (int n = c->order; n >= (lookup ? 1 : c->order); n--) {
        int end = n < view->n_tokens ? first_match(view, n, lookup ? c->depth : 1) : 0;
        if (!end) continue;
        int there = view->n_tokens - end;
        add_chain(view, tree, end, n, there < c->depth ? there : c->depth);
        return;
    }
}

// ---- input --------------------------------------------------------------------------------------

// Where the last tokens of the output stand in the source: behind the only occurrence of as few of them as are
// needed, at most `order`; -1 when no number of them occurs once.
static int find_place(const copy *c, const cop_view *view, int from, int to) {
    int n_output = view->n_tokens - view->n_prompt, most = n_output < c->order ? n_output : c->order;
    const int32_t *last = view->tokens + view->n_tokens - 1;
    int found[17] = {0}, place[17];
    for (int end = from + 1; end <= to; end++)
        for (int n = 1; n <= most && n <= end - from && view->tokens[end - n] == last[1 - n]; n++) {
            found[n]++;
            place[n] = end;
        }
    for (int n = 1; n <= most && found[n]; n++)
        if (found[n] == 1) return place[n];
    return -1;
}

static void follow(copy *c, const cop_view *view, int from, int to) {
    if (c->n_followed < view->n_prompt || c->n_followed > view->n_tokens) {
        c->n_followed = view->n_prompt;
        c->place = c->from ? from : -1;  // a source that was named begins with its beginning
    }
    for (; c->n_followed < view->n_tokens; c->n_followed++)
        if (c->place >= 0) c->place = c->place < to && view->tokens[c->place] == view->tokens[c->n_followed] ? c->place + 1 : -1;
    if (c->place < 0) c->place = find_place(c, view, from, to);
}

static void propose_input(copy *c, const cop_view *view, cop_tree *tree) {
    int to = c->to && c->to < view->n_prompt ? c->to : view->n_prompt, from = c->from < to ? c->from : to;
    follow(c, view, from, to);
    if (c->place < 0) return;
    int there = to - c->place, length = c->place > 0 ? match_length(view, c->place) : 0;
    add_chain(view, tree, c->place, length, there < c->depth ? there : c->depth);
}

static void propose(void *state, const cop_view *view, cop_tree *tree) {
    copy *c = state;
    if (c->policy == INPUT) {
        propose_input(c, view, tree);
    } else if (c->policy == LOOKUP || c->policy == COPYSPEC) {
        propose_first(c, view, tree);
    } else {
        catch_up(c, view);
        if (c->policy == VOTE) propose_vote(c, view, tree);
        else propose_longest(c, view, tree);
    }
}

#define POLICY(initial) \
    COP_OPTION_WORD(copy, policy, initial, 5, "longest|vote|lookup|copyspec|input", "which occurrence is copied; see copy.c")
#define SHARED \
    COP_OPTION_INT(copy, look, 16, 1, 1024, "earlier occurrences to compare (longest, vote)"), \
    COP_OPTION_INT(copy, from, 0, 0, 999999, "first token of the source in the prompt (input); 0: not known"), \
    COP_OPTION_INT(copy, to, 0, 0, 999999, "token behind the source (input); 0: the end of the prompt"), \
    COP_OPTION_END

static const cop_option options[] = {
    POLICY(LONGEST),
    COP_OPTION_INT(copy, order, 3, 1, 16, "tokens that must match"),
    COP_OPTION_INT(copy, depth, 7, 1, MOST_DEPTH, "tokens to propose at most"),
    SHARED,
};

static const cop_option input_options[] = {
    POLICY(INPUT),
    COP_OPTION_INT(copy, order, 3, 1, 16, "tokens by which the place in the input is found again"),
    COP_OPTION_INT(copy, depth, 15, 1, MOST_DEPTH, "tokens to propose at most"),
    SHARED,
};

const cop_drafter_type cop_drafter_copy = {
    .name = "copy", .summary = "repeat what followed the same tokens earlier", .source = "Saxena 2023; Dumitru 2025", .needs = COP_IN_AUTO,
    .auto_options = "policy=vote,order=1,depth=32,look=32",
    .state_size = sizeof(copy), .options = options, .start = start, .propose = propose, .reset = reset, .stop = stop,
};

const cop_drafter_type cop_drafter_input = {
    .name = "input", .summary = "copy the prompt along, for corrections and edits", .source = "Ge 2022",
    .state_size = sizeof(copy), .options = input_options, .start = start, .propose = propose, .reset = reset, .stop = stop,
};
