"""
POSIX behaviour, one check a function, in the directory given. Prints a line of JSON for each: {"name": ..., "error": ...}.
Nothing here knows of Rokka: the same checks run on the system's own filesystem, which shows that they ask for the right thing.
"""
import ctypes
import errno
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import traceback

CHECKS = []
libc = ctypes.CDLL(None, use_errno=True)


def check(function):
    CHECKS.append(function)
    return function


def fails_with(number, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except OSError as error:
        assert error.errno == number, f"{errno.errorcode[error.errno]}, not {errno.errorcode[number]}"
        return
    raise AssertionError(f"no {errno.errorcode[number]}")


def write(path, data=b""):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def renameat2(old, new, flags):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def as_nobody(action):
    """Runs `action` in a child as an ordinary user; its assertion fails here."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0, "as an ordinary user"


@check
def create_and_exclusive():
    fd = os.open("f", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
    os.close(fd)
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o640
    fails_with(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    fails_with(errno.ENOENT, os.open, "none", os.O_RDONLY)
    fails_with(errno.ENOTDIR, os.open, "f/x", os.O_RDONLY)
    fails_with(errno.EISDIR, os.open, ".", os.O_WRONLY)


@check
def open_truncates():
    write("f", b"0123456789")
    fd = os.open("f", os.O_WRONLY | os.O_TRUNC)
    assert os.fstat(fd).st_size == 0
    os.close(fd)
    assert read("f") == b""


@check
def umask_applies():
    old = os.umask(0o027)
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o666))
    os.mkdir("d", 0o777)
    os.umask(old)
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o640
    assert stat.S_IMODE(os.stat("d").st_mode) == 0o750


@check
def reads_and_writes_at_offsets():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    assert os.pwrite(fd, b"abc", 8190) == 3
    assert os.fstat(fd).st_size == 8193
    assert os.pread(fd, 10, 8188) == b"\0\0abc"
    assert os.pread(fd, 10, 9000) == b""
    assert os.pwrite(fd, b"", 99999) == 0
    assert os.fstat(fd).st_size == 8193
    assert os.lseek(fd, 0, os.SEEK_END) == 8193
    os.close(fd)


@check
def large_writes_and_reads():
    data = os.urandom(5_000_003)
    write("f", data)
    assert read("f") == data
    fd = os.open("f", os.O_RDWR)
    os.pwrite(fd, data[:3_000_001], 1_234_567)
    expected = data[:1_234_567] + data[:3_000_001] + data[4_234_568:]
    assert os.preadv(fd, [bytearray(1)], 0) == 1
    assert read("f") == expected
    os.close(fd)


@check
def append_from_two_descriptors():
    a = os.open("f", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    b = os.open("f", os.O_WRONLY | os.O_APPEND)
    for i in range(50):
        os.write(a, b"a%02d" % i)
        os.write(b, b"b%02d" % i)
    assert read("f") == b"".join(b"a%02db%02d" % (i, i) for i in range(50))


@check
def append_from_many_processes():
    children = []
    for i in range(4):
        child = os.fork()
        if child == 0:
            fd = os.open("f", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            for _ in range(100):
                os.write(fd, bytes([65 + i]) * 100)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    data = read("f")
    assert len(data) == 4 * 100 * 100
    pieces = [data[i : i + 100] for i in range(0, len(data), 100)]
    assert all(piece == piece[:1] * 100 for piece in pieces)


@check
def truncate_shrinks_and_grows_with_zeroes():
    write("f", b"x" * 20000)
    os.truncate("f", 9000)
    os.truncate("f", 18000)
    assert read("f") == b"x" * 9000 + b"\0" * 9000
    os.truncate("f", 0)
    assert os.stat("f").st_blocks == 0
    os.truncate("f", 1 << 40)
    assert os.stat("f").st_size == 1 << 40
    fails_with(errno.EISDIR, os.truncate, ".", 0)


@check
def sparse_files_take_no_space():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.pwrite(fd, b"end", 1 << 33)
    assert os.fstat(fd).st_size == (1 << 33) + 3
    assert os.fstat(fd).st_blocks <= 64
    assert os.pread(fd, 5, 1 << 32) == b"\0" * 5
    os.close(fd)


@check
def seek_data_finds_all_data():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.pwrite(fd, b"x", 100_000)
    assert os.lseek(fd, 0, os.SEEK_DATA) <= 100_000
    assert os.lseek(fd, 100_000, os.SEEK_HOLE) == 100_001
    fails_with(errno.ENXIO, os.lseek, fd, 100_001, os.SEEK_DATA)


@check
def fallocate_reserves_zeroes_and_punches():
    write("f", b"x" * 50_000)

    def fallocate(*args):
        subprocess.run(["fallocate", *args, "f"], check=True)

    fallocate("-o", "0", "-l", "100000")
    assert os.stat("f").st_size == 100_000
    fallocate("-n", "-o", "0", "-l", "200000")
    assert os.stat("f").st_size == 100_000
    assert read("f") == b"x" * 50_000 + b"\0" * 50_000
    fallocate("-p", "-o", "10000", "-l", "20000")
    fallocate("-z", "-o", "40000", "-l", "5000")
    expected = b"x" * 10_000 + b"\0" * 20_000 + b"x" * 10_000 + b"\0" * 5_000 + b"x" * 5_000 + b"\0" * 50_000
    assert read("f") == expected
    fd = os.open("g", os.O_CREAT | os.O_RDWR)
    os.posix_fallocate(fd, 0, 30_000)
    assert os.fstat(fd).st_size == 30_000 and os.fstat(fd).st_blocks * 512 >= 30_000


@check
def unlinked_files_live_while_open():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"still here")
    os.unlink("f")
    assert not os.path.exists("f")
    assert os.fstat(fd).st_nlink == 0
    os.pwrite(fd, b"!", 10)
    assert os.pread(fd, 20, 0) == b"still here!"
    os.ftruncate(fd, 5)
    os.fsync(fd)
    assert os.fstat(fd).st_size == 5
    write("f", b"another")
    assert os.pread(fd, 20, 0) == b"still"
    os.close(fd)
    assert read("f") == b"another"


@check
def hard_links():
    write("a", b"one")
    os.link("a", "b")
    os.mkdir("d")
    os.link("b", "d/c")
    assert {os.stat(name).st_ino for name in ("a", "b", "d/c")} == {os.stat("a").st_ino}
    assert os.stat("a").st_nlink == 3
    write("d/c", b"two")
    assert read("a") == b"two"
    os.unlink("a")
    assert os.stat("b").st_nlink == 2
    fails_with(errno.EPERM, os.link, "d", "e")
    fails_with(errno.EEXIST, os.link, "b", "d/c")


@check
def symbolic_links():
    os.symlink("target", "s")
    assert os.readlink("s") == "target"
    assert os.lstat("s").st_size == 6 and stat.S_ISLNK(os.lstat("s").st_mode)
    fails_with(errno.ENOENT, os.stat, "s")
    write("target", b"x")
    assert read("s") == b"x"
    long = "x" * 4000
    os.symlink(long, "long")
    assert os.readlink("long") == long
    fails_with(errno.EEXIST, os.symlink, "y", "s")
    fails_with(errno.EINVAL, os.readlink, "target")
    os.symlink("loop", "loop")
    fails_with(errno.ELOOP, os.stat, "loop")


@check
def rename_replaces_atomically():
    write("a", b"new")
    write("b", b"old")
    held = os.open("b", os.O_RDONLY)
    os.rename("a", "b")
    assert read("b") == b"new" and not os.path.exists("a")
    assert os.read(held, 10) == b"old"
    assert os.fstat(held).st_nlink == 0
    os.close(held)
    fails_with(errno.ENOENT, os.rename, "a", "c")


@check
def rename_of_directories():
    os.makedirs("a/b/c")
    os.mkdir("e")
    write("a/b/c/f", b"x")
    parent = os.stat("a").st_nlink
    fails_with(errno.EINVAL, os.rename, "a", "a/b/d")
    os.rename("a/b", "e/b")
    assert read("e/b/c/f") == b"x"
    assert os.stat("a").st_nlink == parent - 1
    assert os.stat("e/b/..").st_ino == os.stat("e").st_ino
    os.mkdir("empty")
    os.rename("e", "empty")
    fails_with(errno.ENOTEMPTY, os.rename, "a", "empty")
    write("f")
    fails_with(errno.ENOTDIR, os.rename, "a", "f")
    fails_with(errno.EISDIR, os.rename, "f", "a")


@check
def rename_with_flags():
    write("a", b"a")
    write("b", b"b")
    fails_with(errno.EEXIST, renameat2, "a", "b", 1)
    renameat2("a", "c", 1)
    assert read("c") == b"a"
    os.mkdir("d")
    write("d/x", b"x")
    renameat2("b", "d", 2)
    assert read("d") == b"b" and read("b/x") == b"x"
    fails_with(errno.ENOENT, renameat2, "b", "none", 2)


@check
def rename_onto_itself_and_its_links():
    write("a", b"x")
    os.rename("a", "a")
    os.link("a", "b")
    os.rename("a", "b")
    assert os.path.exists("a") and os.path.exists("b")


@check
def directories():
    os.mkdir("d")
    fails_with(errno.EEXIST, os.mkdir, "d")
    assert os.stat("d").st_nlink == 2
    os.mkdir("d/e")
    assert os.stat("d").st_nlink == 3
    fails_with(errno.ENOTEMPTY, os.rmdir, "d")
    fails_with(errno.EISDIR, os.unlink, "d")
    write("f")
    fails_with(errno.ENOTDIR, os.rmdir, "f")
    os.rmdir("d/e")
    os.rmdir("d")
    fails_with(errno.ENOENT, os.rmdir, "d")


@check
def removed_directory_that_is_in_use():
    os.mkdir("d")
    fd = os.open("d", os.O_RDONLY)
    os.chdir("d")
    os.rmdir("../d")
    assert os.fstat(fd).st_nlink == 0
    assert os.listdir(fd) == []
    fails_with(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY)
    os.chdir("..") if os.path.exists("..") else os.chdir(HOME)
    os.chdir(HOME)


@check
def many_entries():
    os.mkdir("d")
    names = {f"file-{i:05}-{'x' * (i % 60)}" for i in range(5000)}
    for name in names:
        os.close(os.open(f"d/{name}", os.O_CREAT | os.O_WRONLY))
    assert set(os.listdir("d")) == names and len(os.listdir("d")) == 5000
    with os.scandir("d") as entries:
        assert all(entry.is_file(follow_symlinks=False) for entry in entries)
    seen = [entry.name for entry in os.scandir("d") if not os.unlink(entry.path)]
    assert len(seen) == len(set(seen)) == 5000
    assert os.listdir("d") == []
    os.rmdir("d")


@check
def deep_trees():
    deepest = "/".join(["d"] * 200)
    os.makedirs(deepest)
    write(f"{deepest}/f", b"deep")
    assert read(f"{deepest}/f") == b"deep"
    shutil.rmtree("d")
    assert os.listdir(".") == []


@check
def names_are_bytes():
    names = [b"\xff\xfe", "ümläut".encode(), b" ", b"a\nb", b"x" * 255, b"-rf", "漢字".encode()]
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    assert sorted(os.listdir(b".")) == sorted(names)
    fails_with(errno.ENAMETOOLONG, os.open, b"x" * 256, os.O_CREAT | os.O_WRONLY)
    os.symlink(b"\xff\x01", b"link")
    assert os.readlink(b"link") == b"\xff\x01"


@check
def modes_and_owners():
    write("f")
    for mode in (0o0, 0o777, 0o640, 0o1644, 0o4755, 0o2755):
        os.chmod("f", mode)
        assert stat.S_IMODE(os.stat("f").st_mode) == mode, oct(mode)
    os.chown("f", 1234, 4321)
    assert (os.stat("f").st_uid, os.stat("f").st_gid) == (1234, 4321)
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o755  # chown takes the set-ID bits
    os.chown("f", -1, 5)
    assert (os.stat("f").st_uid, os.stat("f").st_gid) == (1234, 5)
    os.symlink("f", "s")
    os.lchown("s", 7, 8)
    assert (os.lstat("s").st_uid, os.stat("s").st_uid) == (7, 1234)


@check
def permissions_are_enforced():
    os.chmod(".", 0o755)
    write("secret", b"x")
    os.chmod("secret", 0o600)
    write("open", b"x")
    os.chmod("open", 0o644)
    os.mkdir("sticky")
    os.chmod("sticky", 0o1777)
    write("sticky/roots")
    os.mkdir("set-gid")
    os.chown("set-gid", 0, 4321)
    os.chmod("set-gid", 0o2777)

    def action():
        fails_with(errno.EACCES, os.open, "secret", os.O_RDONLY)
        assert read("open") == b"x"
        fails_with(errno.EACCES, os.open, "open", os.O_WRONLY)
        fails_with(errno.EACCES, os.open, "new", os.O_CREAT | os.O_WRONLY)
        fails_with(errno.EPERM, os.chmod, "open", 0o666)
        fails_with(errno.EPERM, os.chown, "open", 65534, -1)
        fails_with(errno.EPERM, os.unlink, "sticky/roots")
        write("sticky/mine", b"x")
        assert os.stat("sticky/mine").st_uid == 65534
        os.unlink("sticky/mine")
        write("set-gid/f")
        assert os.stat("set-gid/f").st_gid == 4321
        os.mkdir("set-gid/d")
        assert os.stat("set-gid/d").st_mode & stat.S_ISGID

    as_nobody(action)


@check
def writing_takes_set_id_bits():
    for name, change in (("w", lambda p: write_at(p)), ("t", lambda p: os.truncate(p, 1)), ("o", lambda p: write(p))):
        write(name, b"xyz")
        os.chmod(name, 0o6777)

        def action():
            change(name)

        as_nobody(action)
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o777, name
    write("kept", b"x")
    os.chmod("kept", 0o6777)
    write_at("kept")  # root may keep them
    assert stat.S_IMODE(os.stat("kept").st_mode) == 0o6777


def write_at(path):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"y", 1)
    os.close(fd)


@check
def times_to_the_nanosecond():
    write("f")
    os.utime("f", ns=(1_500_000_000_123_456_789, 1_600_000_000_987_654_321))
    assert os.stat("f").st_atime_ns == 1_500_000_000_123_456_789
    assert os.stat("f").st_mtime_ns == 1_600_000_000_987_654_321
    os.utime("f", ns=(-1_000_000_001, 4_000_000_000_000_000_001))
    assert os.stat("f").st_atime_ns == -1_000_000_001
    assert os.stat("f").st_mtime_ns == 4_000_000_000_000_000_001
    os.utime("f")
    import time

    assert abs(os.stat("f").st_mtime - time.time()) < 60


@check
def changes_move_times():
    write("f", b"x")
    os.mkdir("d")
    old = 1_000_000_000_000_000_000

    def moved(path, action, expect_mtime=True):
        os.utime(path, ns=(old, old))
        before = os.stat(path).st_ctime_ns
        action()
        after = os.stat(path)
        assert (after.st_mtime_ns != old) == expect_mtime, f"mtime of {path}"
        assert after.st_ctime_ns >= before, f"ctime of {path}"

    moved("f", lambda: write_at("f"))
    moved("f", lambda: os.truncate("f", 1))
    moved("f", lambda: os.chmod("f", 0o600), expect_mtime=False)
    moved("f", lambda: os.link("f", "g"), expect_mtime=False)
    moved("d", lambda: write("d/x"))
    moved("d", lambda: os.rename("d/x", "d/y"))
    moved("d", lambda: os.unlink("d/y"))
    moved("d", lambda: os.mkdir("d/e"))
    moved("d", lambda: os.rmdir("d/e"))


@check
def special_files_are_refused_or_made():
    try:
        os.mkfifo("p")
        assert stat.S_ISFIFO(os.stat("p").st_mode)
    except PermissionError:
        pass
    os.mknod("n", stat.S_IFREG | 0o600)
    assert stat.S_ISREG(os.stat("n").st_mode)


@check
def extended_attributes_are_refused_or_kept():
    write("f")
    try:
        os.setxattr("f", "user.x", b"1")
        assert os.listxattr("f") == ["user.x"] and os.getxattr("f", "user.x") == b"1"
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP


@check
def file_locks():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)
    fcntl.flock(fd, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        other = os.open("f", os.O_RDWR)
        try:
            for lock in (lambda: fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 5), lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                try:
                    lock()
                    os._exit(1)
                except BlockingIOError:
                    pass
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 20)
            os._exit(0)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


@check
def copies_inside_the_kernel():
    data = os.urandom(300_000)
    write("a", data)
    a = os.open("a", os.O_RDONLY)
    b = os.open("b", os.O_CREAT | os.O_RDWR)
    done = 0
    while done < len(data):
        count = os.copy_file_range(a, b, len(data) - done)
        assert count > 0
        done += count
    assert read("b") == data
    c = os.open("c", os.O_CREAT | os.O_RDWR)
    assert os.sendfile(c, a, 1000, 5000) == 5000
    assert read("c") == data[1000:6000]


@check
def syncs():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"x")
    os.fsync(fd)
    os.fdatasync(fd)
    directory = os.open(".", os.O_RDONLY)
    os.fsync(directory)
    os.sync()
    dsync = os.open("f", os.O_WRONLY | os.O_DSYNC)
    assert os.write(dsync, b"y") == 1


@check
def state_of_the_filesystem():
    before = os.statvfs(".")
    assert before.f_blocks >= before.f_bfree > 0 and before.f_namemax == 255
    write("f", os.urandom(2_000_000))
    os.sync()
    after = os.statvfs(".")
    assert before.f_bfree - after.f_bfree >= 2_000_000 // before.f_frsize


@check
def programs_run_from_it():
    write("script", b"#!/bin/sh\necho ran\n")
    os.chmod("script", 0o755)
    assert subprocess.run(["./script"], capture_output=True, check=True).stdout == b"ran\n"
    shutil.copy("/bin/true", "true")
    subprocess.run(["./true"], check=True)


@check
def tools_copy_whole_trees():
    os.makedirs("tree/a/b")
    for i in range(60):
        write(f"tree/a/f{i}", os.urandom(i * 777))
    os.link("tree/a/f1", "tree/a/b/hard")
    os.symlink("../f2", "tree/a/b/soft")
    os.chmod("tree/a/f3", 0o4711)
    os.utime("tree/a/f4", ns=(1, 1_111_111_111_111_111_111))
    script = (
        "set -e; cp -a tree copy; diff -r tree copy; tar cf t.tar tree; mkdir x; tar xf t.tar -C x; diff -r tree x/tree;"
        "(cd tree && find . -printf '%p %y %m %n %s %T@ %l\\n' | grep -v '^\\. ' | sort) > l1;"
        "(cd copy && find . -printf '%p %y %m %n %s %T@ %l\\n' | grep -v '^\\. ' | sort) > l2; grep -v ' d ' l1 > m1; grep -v ' d ' l2 > m2; cmp m1 m2;"
        "mv copy moved; rm -rf tree moved x; find . -type f | sort"
    )
    listing = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    assert listing.returncode == 0, listing.stderr.decode()
    assert listing.stdout.split() == [b"./l1", b"./l2", b"./m1", b"./m2", b"./t.tar"]


@check
def sqlite_in_both_modes():
    import sqlite3

    for mode in ("delete", "wal"):
        path = f"{mode}.db"
        one = sqlite3.connect(path, timeout=10)
        assert one.execute(f"pragma journal_mode={mode}").fetchone() == (mode,)
        one.execute("create table t (k integer primary key, v text)")
        with one:
            one.executemany("insert into t (v) values (?)", ((f"value {i}" * 20,) for i in range(2000)))
        two = sqlite3.connect(path, timeout=10)
        two.execute("pragma mmap_size=268435456")
        with two:
            two.execute("update t set v = 'x' where k % 3 = 0")
        assert one.execute("select count(*) from t where v = 'x'").fetchone() == (666,)
        one.execute("begin")
        one.execute("delete from t")
        one.rollback()
        assert two.execute("pragma integrity_check").fetchone() == ("ok",)
        assert two.execute("select count(*) from t").fetchone() == (2000,)
        one.close()
        two.close()


HOME = ""


def main():
    global HOME
    top = sys.argv[1]
    for function in CHECKS:
        HOME = os.path.join(top, function.__name__)
        os.mkdir(HOME)
        os.chdir(HOME)
        error = None
        try:
            function()
        except BaseException:
            error = traceback.format_exc()
        os.chdir(top)
        print(json.dumps({"name": function.__name__.replace("_", " "), "error": error}), flush=True)
        shutil.rmtree(HOME)


main()
