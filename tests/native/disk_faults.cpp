// LD_PRELOAD: a disk that goes wrong as the file named by ORDERFLOW_DISK says, read anew at every call:
// eio (nothing can be flushed), enospc (no room for another segment), stall (a flush never ends while the file says
// so), eintr (every other flush is interrupted), short (a write takes half), anything else: a disk that works.
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

bool says(const char *mode) {
    const char *path = std::getenv("ORDERFLOW_DISK");
    char text[16] = {};
    const int file = path ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return false;
    const ssize_t size = ::read(file, text, sizeof text - 1);
    ::close(file);
    return size > 0 && std::strcmp(text, mode) == 0;
}

template <typename Function> Function real(Function, const char *name) {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

// Whether a flush fails; errno says how.
bool refuses() {
    static std::atomic<unsigned> flushes{0};
    while (says("stall")) {
        const timespec moment{0, 1000000};
        ::nanosleep(&moment, nullptr);
    }
    if (says("eio")) return errno = EIO, true;
    if (says("eintr") && flushes++ % 2 == 0) return errno = EINTR, true;
    return false;
}

}  // namespace

extern "C" {

int fdatasync(int file) { return refuses() ? -1 : real(&fdatasync, "fdatasync")(file); }

int msync(void *address, size_t size, int flags) noexcept(noexcept(::msync(nullptr, 0, 0))) {
    return says("eio") ? (errno = EIO, -1) : real(&msync, "msync")(address, size, flags);
}

int posix_fallocate(int file, off_t offset, off_t size) {
    return says("enospc") ? ENOSPC : real(&posix_fallocate, "posix_fallocate")(file, offset, size);
}

int posix_fallocate64(int file, off64_t offset, off64_t size) {
    return says("enospc") ? ENOSPC : real(&posix_fallocate64, "posix_fallocate64")(file, offset, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    return real(&pwrite, "pwrite")(file, data, says("short") && size > 1 ? size / 2 : size, offset);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    return real(&pwrite64, "pwrite64")(file, data, says("short") && size > 1 ? size / 2 : size, offset);
}

}
