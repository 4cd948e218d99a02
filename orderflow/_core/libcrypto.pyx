"""Finds functions of the libcrypto that Python's `_hashlib` has loaded. Nothing is linked at build time."""
from posix.dlfcn cimport RTLD_NOW, dlopen, dlsym

cdef extern from "<dlfcn.h>" nogil:
    int RTLD_NOLOAD             # not in POSIX: glibc, musl, the BSDs and macOS have it

cdef void *library = NULL
where = ""


cdef void *find(str name) except NULL:
    """Address of a function. ImportError where this libcrypto has none of that name."""
    cdef bytes symbol = name.encode()
    cdef void *address = dlsym(library, symbol)
    if address is NULL:
        raise ImportError(f"orderflow signs with the libcrypto that Python itself uses ({where}), and that one has no "
                          f"{name}; use a Python linked against a shared OpenSSL 1.1.1 or newer")
    return address


cdef void *_open(str path) except? NULL:
    """The library already loaded from `path`: its dependencies, libcrypto among them, are searched with it."""
    cdef bytes raw = path.encode()
    cdef void *found = dlopen(raw, RTLD_NOLOAD | RTLD_NOW)
    return found if found is not NULL else dlopen(raw, RTLD_NOW)


cdef int _load() except -1:
    global library, where
    import _hashlib
    where = getattr(_hashlib, "__file__", None)
    if where is None:           # built into the interpreter, and so is libcrypto's name table, if it is visible at all
        where = "the interpreter's own executable"
        library = dlopen(NULL, RTLD_NOW)
    else:
        library = _open(where)
    if library is NULL:
        raise ImportError(f"cannot open {where}, through which Python reaches libcrypto")
    return 0


_load()
