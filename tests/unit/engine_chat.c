// Conversations through the public interface.
#include <string.h>

#include "../support/mini_cmocka.h"
#include "coppice.h"

static const char one[] = "[{\"role\": \"user\", \"content\": \"hi\"}]";
static const char two[] = "[{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"ho\"}, {\"role\": \"user\", \"content\": \"and?\"}]";
static const char rendered[] = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";

static int open_engine(void **state) {
    cop_engine_options o = cop_engine_defaults();
    o.threads = 1;
    o.keep_packed = 0;
    return cop_engine_open((cop_engine **)state, "tests/data/tiny-llama-a.gguf", &o) ? -1 : 0;
}

static int close_engine(void **state) {
    cop_engine_close(*state);
    return 0;
}

static void a_conversation_renders_into_the_callers_memory(void **state) {
    char text[sizeof rendered];
    size_t bytes;
    assert_int_equal(cop_engine_render_chat(*state, one, sizeof one - 1, text, sizeof text, &bytes), COP_OK);
    assert_int_equal(bytes, sizeof rendered - 1);
    assert_memory_equal(text, rendered, bytes);
    memset(text, '#', sizeof text);
    assert_int_equal(cop_engine_render_chat(*state, one, sizeof one - 1, text, 5, &bytes), COP_OK);
    assert_int_equal(bytes, sizeof rendered - 1);
    assert_memory_equal(text, "<|im_#", 6);
    assert_int_equal(cop_engine_render_chat(*state, "[", 1, text, 5, &bytes), COP_ERR_FORMAT);
    assert_int_equal(cop_engine_render_chat(*state, "{\"messages\": 1}", 15, text, 5, &bytes), COP_ERR_ARG);
    assert_int_equal(cop_engine_render_chat(*state, "7", 1, text, 5, &bytes), COP_ERR_FORMAT);
}

static void a_longer_conversation_keeps_what_is_computed(void **state) {
    cop_session *session;
    cop_result r;
    size_t n_one, n_two;
    assert_int_equal(cop_session_open(&session, *state, NULL), COP_OK);
    assert_int_equal(cop_session_set_chat(session, one, sizeof one - 1), COP_OK);
    cop_session_tokens(session, &n_one);
    assert_int_equal(cop_session_generate(session, 1, NULL, NULL, &r), COP_OK);
    assert_int_equal(r.computed_tokens, n_one);
    assert_int_equal(cop_session_set_chat(session, two, sizeof two - 1), COP_OK);
    cop_session_tokens(session, &n_two);
    assert_int_equal(cop_session_generate(session, 1, NULL, NULL, &r), COP_OK);
    assert_int_equal(r.computed_tokens, n_two - n_one);
    cop_session_close(session);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_renders_into_the_callers_memory),
        cmocka_unit_test(a_longer_conversation_keeps_what_is_computed),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
