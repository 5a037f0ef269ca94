// The members of tokenizer.json that name steps, read into a pipeline.
#ifndef COP_TEXT_JSON_STEPS_H
#define COP_TEXT_JSON_STEPS_H

#include "base/json.h"
#include "text/pipeline_private.h"

// Tokens that the post-processor puts around a text.
typedef struct cop_around {
    int32_t before[COP_MAX_AROUND], behind[COP_MAX_AROUND];
    int n_before, n_behind;
    bool known;  // a template was there
} cop_around;

/* Each takes the member, or NULL when the file has none. */
cop_status cop_json_normalizer(cop_pipeline *p, const json_t *member);
cop_status cop_json_pre_tokenizer(cop_pipeline *p, const json_t *member);
cop_status cop_json_decoder(cop_pipeline *p, const json_t *member);
cop_status cop_json_post_processor(cop_around *a, const json_t *member);

/* A member that is a text of at most `most` bytes, copied to to[most + 1]; "" when it is missing. */
cop_status cop_json_short_text(const json_t *object, const char *key, size_t most, char *to);

/* The chat template of tokenizer_config.json: a text, or several with names, of which "default" is the one. *out is left
 * alone when there is none. (tokenizer_json.c) */
void cop_json_chat_template(const json_t *config, cop_span *out);

#endif
