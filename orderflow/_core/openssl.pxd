"""The functions of the OpenSSL that the interpreter itself has loaded; openssl.pyx finds them. Nothing is linked."""

ctypedef int (*ReadFunction)(void *ssl, void *out, size_t capacity, size_t *got) noexcept nogil
ctypedef int (*WriteFunction)(void *ssl, const void *data, size_t size, size_t *sent) noexcept nogil
ctypedef int (*NumberFunction)(const void *ssl) noexcept nogil
ctypedef int (*ShutdownFunction)(void *ssl) noexcept nogil
ctypedef int (*GetErrorFunction)(const void *ssl, int result) noexcept nogil
ctypedef long (*ControlFunction)(void *ssl, int command, long larg, void *parg) noexcept nogil
ctypedef void *(*PointerFunction)(const void *ssl) noexcept nogil
ctypedef void (*ClearErrorFunction)() noexcept nogil
ctypedef unsigned long (*LastErrorFunction)() noexcept nogil
ctypedef void (*ErrorTextFunction)(unsigned long code, char *out, size_t size) noexcept nogil

cdef enum:                      # openssl/ssl.h; part of its ABI since 1.1.1
    SSL_ERROR_SSL = 1
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_SYSCALL = 5
    SSL_ERROR_ZERO_RETURN = 6


cdef struct OpenSSL:
    ReadFunction read
    WriteFunction write
    ShutdownFunction shutdown
    GetErrorFunction get_error
    NumberFunction get_fd
    PointerFunction get_context
    ControlFunction control
    ClearErrorFunction clear_error
    LastErrorFunction last_error
    ErrorTextFunction error_text


cdef const OpenSSL *library() except NULL
cdef void *borrow(object socket) except NULL
