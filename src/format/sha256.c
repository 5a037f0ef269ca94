#include "format/sha256.h"

#if __has_include(<openssl/evp.h>)
#include <openssl/evp.h>

static cop_status start(cop_sha256 *hash, const EVP_MD *algorithm) {
    if (!hash->state && !(hash->state = EVP_MD_CTX_new())) return cop_fail(COP_ERR_NOMEM, "sha256: cannot allocate");
    if (EVP_DigestInit_ex(hash->state, algorithm, NULL) != 1)
        return cop_fail(COP_ERR_UNSUPPORTED, "sha256: libcrypto refuses the algorithm");
    return COP_OK;
}

cop_status cop_sha256_init(cop_sha256 *hash) { return start(hash, EVP_sha256()); }
cop_status cop_sha1_init(cop_sha256 *hash) { return start(hash, EVP_sha1()); }

cop_status cop_sha256_update(cop_sha256 *hash, const void *data, size_t n) {
    if (EVP_DigestUpdate(hash->state, data, n) != 1)
        return cop_fail(COP_ERR_IO, "sha256: libcrypto failed on %zu bytes", n);
    return COP_OK;
}

// The running state is copied, because finishing a hash ends it.
cop_status cop_sha256_hex(const cop_sha256 *hash, char hex[COP_SHA256_HEX]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (!copy) return cop_fail(COP_ERR_NOMEM, "sha256: cannot allocate");
    int ok = EVP_MD_CTX_copy_ex(copy, hash->state) == 1 && EVP_DigestFinal_ex(copy, digest, &n) == 1;
    EVP_MD_CTX_free(copy);
    if (!ok || n > 32) return cop_fail(COP_ERR_IO, "sha256: libcrypto failed to finish");
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[2 * n] = 0;
    return COP_OK;
}

void cop_sha256_fini(cop_sha256 *hash) {
    EVP_MD_CTX_free(hash->state);
    hash->state = NULL;
}

#else

static cop_status absent(void) {
    return cop_fail(COP_ERR_UNSUPPORTED, "sha256: this build has no libcrypto; install libssl-dev and build again");
}
cop_status cop_sha256_init(cop_sha256 *hash) {
    hash->state = NULL;
    return absent();
}
cop_status cop_sha1_init(cop_sha256 *hash) { return cop_sha256_init(hash); }
cop_status cop_sha256_update(cop_sha256 *hash, const void *data, size_t n) {
    (void)hash, (void)data, (void)n;
    return absent();
}
cop_status cop_sha256_hex(const cop_sha256 *hash, char hex[COP_SHA256_HEX]) {
    (void)hash;
    hex[0] = 0;
    return absent();
}
void cop_sha256_fini(cop_sha256 *hash) { hash->state = NULL; }

#endif
