"""Files replaced in one step: the old content or the new one, whole, whatever happens in between."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tflite_surgeon.errors import SaveError

_SUFFIX = ".surgeon-tmp"
# What is written at once of a piece; as many zeros in a row are left out, which reads the same and takes no disk.
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
# Chunks written between two calls of `let_go`.
_LET_GO_EVERY = 16
# As many new bytes are handed to the disk at a time.
_BEHIND = 1 << 24
# One call copies no more than this: a signal, such as Ctrl-C, is heard between two.
_COPY_AT_ONCE = _BEHIND
# Errors of systems and file systems that do not offer a way of copying, or not between these two files.
_NOT_OFFERED = {
    getattr(errno, name)
    for name in ("ENOSYS", "EXDEV", "EINVAL", "EOPNOTSUPP", "ENOTSUP", "EPERM", "EBADF", "ETXTBSY", "ENOTSOCK")
    if hasattr(errno, name)
}


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside the target that becomes it at the end, or goes without a trace.

    Raises:
        SaveError: the target is no file that can be replaced, or the system refused something on the way.
    """
    _require_regular(target)
    remove_leftovers(target)
    temporary = _temporary_beside(target)
    try:
        try:
            yield temporary
            _copy_mode(target, temporary)
            os.replace(temporary, target)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SaveError(f"{target} cannot be written: {reason}; what was there before is untouched") from error
        _sync_folder(target.parent)
    finally:
        with suppress(OSError):  # The next save to the target tries again.
            temporary.unlink(missing_ok=True)


def _require_regular(target: Path) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise SaveError(f"{target} cannot be written: there is no folder {target.parent}") from None
        return
    except OSError as error:
        raise SaveError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise SaveError(f"{target} cannot be written: it is {kind}, not a file")


def _copy_mode(target: Path, temporary: Path) -> None:
    """Give the new file the mode of the one it replaces; some file systems know one mode only, and refuse to set it."""
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return
    if mode != stat.S_IMODE(temporary.stat().st_mode):
        os.chmod(temporary, mode)


def _sync_folder(folder: Path) -> None:
    """Make the renaming last; some file systems do not offer this for folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        with suppress(OSError):
            os.close(descriptor)


# Temporary files


def _temporary_beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}")


def remove_leftovers(target: Path) -> None:
    """Remove temporary files that a killed save of this target left, once its process is gone."""
    name = re.compile(rf"\.{re.escape(target.name)}\.([0-9]{{1,10}})-[0-9a-f]{{8}}{re.escape(_SUFFIX)}")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            match = name.fullmatch(entry.name)
            if match and not _is_running(int(match[1])):
                with suppress(OSError):  # Another user's, perhaps: not ours to insist on.
                    os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


# Content


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to be written, which must not exist; on disk when the block ends."""
    with open(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


class _Behind:
    """Has the system begin to take new bytes to disk while more are made: the wait at the end is short then."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = 0

    def written(self, end: int) -> None:
        """Bytes are written up to a position."""
        if end - self._start >= _BEHIND and hasattr(os, "posix_fadvise"):
            self._file.flush()
            # Of bytes that are not on disk yet the advice to forget them is one to write them.
            with suppress(OSError):
                os.posix_fadvise(self._file.fileno(), self._start, end - self._start, os.POSIX_FADV_DONTNEED)
            self._start = end


def write(file: BinaryIO, pieces: Iterable[bytes | bytearray | memoryview], let_go: Callable[[], None]) -> None:
    """Append pieces to a new file; long runs of zeros become holes.

    Args:
        file: it stands at its end.
        pieces: what to write.
        let_go: frees the memory that reading mapped pieces has taken; called every few megabytes.
    """
    chunks, behind = 0, _Behind(file)
    for piece in pieces:
        chunks += 1
        if len(piece) < _CHUNK:
            file.write(piece)
        else:
            with memoryview(piece) as view:
                for start in range(0, len(view), _CHUNK):
                    _write_chunk(file, view[start : start + _CHUNK])
                    chunks += 1
                    if not chunks % _LET_GO_EVERY:
                        let_go()
            behind.written(file.tell())
        if not chunks % _LET_GO_EVERY:
            let_go()
    file.truncate()  # To where it stands, which is behind a hole perhaps.


def _write_chunk(file: BinaryIO, chunk: memoryview) -> None:
    # A look at both ends first: weights are rarely zero. Bytes, because views compare element by element.
    if len(chunk) == _CHUNK and not chunk[0] and not chunk[-1] and bytes(chunk) == _ZEROS:
        file.seek(_CHUNK, os.SEEK_CUR)
    else:
        file.write(chunk)


def copy(original: Path, file: BinaryIO) -> None:
    """Copy a file's content into an empty one: its holes stay holes, its bytes never pass through this process."""
    with open(original, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        # On file systems that can, the first way shares the blocks and takes no time.
        ways = [_copy_range] * hasattr(os, "copy_file_range") + [_send] * hasattr(os, "sendfile") + [_read_and_write]
        behind = _Behind(file)
        for start, end in _parts_with_data(source.fileno(), size):
            while start < end:
                try:
                    count = ways[0](source.fileno(), file.fileno(), start, min(end - start, _COPY_AT_ONCE))
                except OSError as error:
                    if len(ways) == 1 or error.errno not in _NOT_OFFERED:
                        raise
                    count = 0
                if count == 0:
                    if len(ways) == 1:
                        raise OSError(errno.EIO, f"{original} became shorter while it was copied")
                    del ways[0]
                start += count
                behind.written(start)
        os.ftruncate(file.fileno(), size)


def _parts_with_data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what lies between a file's holes; all of it where the system does not say."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole follows.
                yield at, size
            return
        yield start, min(end, size)
        at = end


def _copy_range(source: int, target: int, at: int, count: int) -> int:
    return os.copy_file_range(source, target, count, at, at)


def _send(source: int, target: int, at: int, count: int) -> int:
    os.lseek(target, at, os.SEEK_SET)
    return os.sendfile(target, source, at, count)


def _read_and_write(source: int, target: int, at: int, count: int) -> int:
    os.lseek(source, at, os.SEEK_SET)
    os.lseek(target, at, os.SEEK_SET)
    return os.write(target, os.read(source, min(count, _CHUNK)))


# Backups


def back_up(path: Path) -> Path:
    """Keep a file's content beside it as NAME.bak, or NAME.bak.1 and so on: an older backup is never overwritten.

    Raises:
        SaveError: no backup could be made.
    """
    number = 0
    while True:
        backup = path.with_name(path.name + (".bak" if number == 0 else f".bak.{number}"))
        try:
            _keep(path, backup)
            return backup
        except FileExistsError:
            number += 1
        except OSError as error:
            raise SaveError(f"{path} could not be backed up as {backup.name}: {error.strerror or error}") from error


def _keep(path: Path, backup: Path) -> None:
    """Give a file's content a second name, which must be new; a copy where the file system has no links."""
    if os.path.lexists(backup):
        raise FileExistsError(backup)
    with suppress(OSError):
        os.link(os.path.realpath(path), backup)  # Not a link to a symbolic link: that would lead to the new content.
        return
    remove_leftovers(path)
    temporary = _temporary_beside(path)
    try:
        with new_file(temporary) as file:
            copy(path, file)
        shutil.copystat(path, temporary)
        # The name is ours from here on; half a copy never has it.
        descriptor = os.open(backup, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            os.close(descriptor)
            os.replace(temporary, backup)
        except OSError:
            backup.unlink()
            raise
        _sync_folder(backup.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
