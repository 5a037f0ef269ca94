#ifndef COPPICE_H
#define COPPICE_H
typedef enum cop_status {
    COP_OK = 0,
    COP_ERR_ARG,          // the caller asked for something out of range
    COP_ERR_IO,           // reading, writing or the network failed
    COP_ERR_FORMAT,       // a file or message is not what it says
    COP_ERR_NOMEM,        // memory is gone
    COP_ERR_LIMIT,        // a stated limit was reached
    COP_ERR_UNSUPPORTED,  // well-formed, but this build or model cannot do it
    COP_ERR_NOT_FOUND,    // no such file, name or tensor
    COP_ERR_CANCELLED     // the caller asked to stop
} cop_status;
const char *cop_error_text(void);
const char *cop_status_name(cop_status status);
#endif
