// Hashes that every computer has to find: made by tools/record_selftest, checked by `coppice selftest`.
// XXH64 of the outputs of every kernel, then of the logits of smollm2-135m on ten prompts.
#ifndef COP_CLI_SELFTEST_HASHES_H
#define COP_CLI_SELFTEST_HASHES_H

#include <stdint.h>

static const uint64_t kernel_hashes[] = {
    0x09a2e21d56091e2d,  // product F32
    0x1f4bbf2692d5a6f1,  // product F16
    0x4f284ad07a2e1bb7,  // product BF16
    0x3fd23bb464616907,  // product Q4_0
    0x99df67c28930b819,  // product Q4_1
    0xf5386721421ed264,  // product Q5_0
    0xf930809477404a3f,  // product Q5_1
    0xb5e1f3456d53e8d7,  // product Q8_0
    0xaf6b7dc2b86f4231,  // product Q4_K
    0x3c40bc64c4671056,  // product Q5_K
    0x7e42fd493a4683c9,  // product Q6_K
    0x8b56224d8f52417f,  // product IQ4_NL
    0x93a183cb07d94fb5,  // product Q2_K
    0x159babbd9753a23c,  // product Q3_K
    0xae47f45614cd4e8d,  // product IQ4_XS
    0x8824def602dd8237,  // product MXFP4
    0x562f57fd9ad756e3,  // rows
    0x5b121463094f7e42,  // attention f16
    0x3280545bee9ce762,  // attention bf16
    0x3342000f3df55c41,  // attention q8_0
    0x7256684fe8e055d4,  // attention f32
};

static const uint64_t model_hashes[] = {
    0x8d2fe3257ccab5a6,
    0x849b731076dd6bf1,
    0x790aec339b9670b6,
    0x8043af7ad1d07f0f,
    0x0542c13d7c800343,
    0x55aba27675be60ec,
    0xee4a49c2ed4a7ddc,
    0xf6c9c8eb781b5a5f,
    0xf01af392d08ad143,
    0x11b064fa0baac483,
};

#endif
