"""Maps a file of the directory given, shared and writable, and checks that mapping, read and write see the same bytes."""
import mmap
import os
import sys

path = os.path.join(sys.argv[1], "mapped")
fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
os.truncate(path, 65536)
os.pwrite(fd, b"before", 100)
with mmap.mmap(fd, 65536, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as mapping:
    assert mapping[100:106] == b"before", mapping[100:106]
    mapping[8000:8400] = b"m" * 400  # over the border of two pages
    mapping.flush()
    assert os.pread(fd, 400, 8000) == b"m" * 400
    os.pwrite(fd, b"written", 8100)  # past the mapping, which must see it
    assert mapping[8100:8107] == b"written", mapping[8100:8107]
    mapping[20000] = 7
other = os.open(path, os.O_RDONLY)
os.fsync(fd)
assert os.pread(other, 1, 20000) == b"\x07"
assert os.stat(path).st_size == 65536
with mmap.mmap(other, 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as private:
    assert private[8000:8100] == b"m" * 100
print("ok")
