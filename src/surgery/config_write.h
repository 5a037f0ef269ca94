// config.json and generation_config.json of a GGUF model, in the layout that most repositories have.
// Values come from the description of the computation, so that what a GGUF file takes for granted is written out.
// Whether the folder says the same as the file is for the caller to compare (cop_config_compare): not everything
// that the keys can say has a place in every family's configuration.
#ifndef COP_SURGERY_CONFIG_WRITE_H
#define COP_SURGERY_CONFIG_WRITE_H

#include "base/json.h"
#include "model/model.h"

/* The model_type of the folder. COP_ERR_UNSUPPORTED names a family of which no folder is made, and those of which. */
cop_status cop_config_type(const cop_desc *desc, const char **model_type);

/* config.json; type: of the matrices. The caller owns *out. */
cop_status cop_config_make(json_t **out, const cop_gguf *file, const cop_desc *desc, const char *model_type, cop_dtype type);
/* generation_config.json: the tokens that begin, end and pad. */
cop_status cop_config_generation(json_t **out, const cop_gguf *file);

/* COP_ERR_UNSUPPORTED names what the folder's description has otherwise. */
cop_status cop_config_compare(const cop_desc *file, const cop_desc *folder);

#endif
