"""The libcrypto that the interpreter itself has loaded: one OpenSSL in the process, patched with the interpreter."""

cdef void *find(str name) except NULL
