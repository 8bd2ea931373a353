"""The result of a search: rows of (pattern, start, end) that Python sees without copying.

The rows stay in C until somebody asks for one; numpy and memoryview see them as an (n, 3) array of
uint32 (uint64 for data beyond 4 GiB), those of a search in many lines as an (n, 4) array. Immutable
once it has been returned.
"""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from libc.stdint cimport uint32_t, uint64_t

from tocsin._core.grow cimport bytes_free, bytes_push, hits_free
from tocsin._core.types cimport hit_t

# What an empty array points at: consumers of a buffer do not expect NULL.
cdef uint64_t nothing = 0


cdef class Matches:
    """Matches as a sequence of (pattern, start, end) tuples, half-open, and as a buffer."""

    def __dealloc__(self):
        hits_free(&self.narrow)
        bytes_free(&self.wide)

    cdef void push_wide(self, uint64_t shift, const hit_t *hit) noexcept nogil:
        cdef uint64_t[3] row
        row[0] = hit.pattern
        row[1] = hit.start + shift
        row[2] = hit.end + shift
        bytes_push(&self.wide, <const unsigned char *> row, sizeof(row))

    cdef int finish(self, Py_ssize_t columns, Py_ssize_t width) except -1:
        """No more rows: they have so many columns of so many bytes."""
        cdef size_t bytes_a_row = <size_t> (columns * width)
        if self.narrow.failed or self.wide.failed:
            raise MemoryError("no room for the matches")
        if self.wide.at != NULL:
            self.rows = <char *> self.wide.at
            self.used = <Py_ssize_t> (self.wide.used // bytes_a_row)
        elif self.narrow.at != NULL:
            self.rows = <char *> self.narrow.at
            self.used = self.narrow.used
        else:
            self.rows = <char *> &nothing
        self.shape[0] = self.used
        self.shape[1] = columns
        self.strides[0] = bytes_a_row
        self.strides[1] = width
        return 0

    cdef uint64_t cell(self, Py_ssize_t row, int column) noexcept:
        cdef char *at = self.rows + row * self.strides[0] + column * self.strides[1]
        if self.strides[1] == sizeof(uint64_t):
            return (<uint64_t *> at)[0]
        return (<uint32_t *> at)[0]

    cdef tuple row(self, Py_ssize_t row):
        return self.cell(row, 0), self.cell(row, 1), self.cell(row, 2)

    def __len__(self):
        return self.used

    def __getitem__(self, index):
        cdef Py_ssize_t row
        if isinstance(index, slice):
            return [self.row(row) for row in range(*index.indices(self.used))]
        row = index
        if row < 0:
            row += self.used
        if row < 0 or row >= self.used:
            raise IndexError("match index out of range")
        return self.row(row)

    def __iter__(self):
        cdef Py_ssize_t row
        for row in range(self.used):
            yield self.row(row)

    def __repr__(self):
        return f"<{type(self).__name__}: {self.used}>"

    @property
    def patterns(self):
        """The first column, as a read-only memoryview."""
        return memoryview(Column.of(self, 0))

    @property
    def starts(self):
        """The second column."""
        return memoryview(Column.of(self, 1))

    @property
    def ends(self):
        """The third column."""
        return memoryview(Column.of(self, 2))

    def __getbuffer__(self, Py_buffer *view, int flags):
        fill_view(view, flags, self, self, 0)


cdef class LineMatches(Matches):
    """Matches in many lines: (pattern, start, end, line), offsets within the line."""

    cdef void push_line(self, uint32_t line, uint32_t shift, const hit_t *hit) noexcept nogil:
        cdef uint32_t[4] row
        row[0] = hit.pattern
        row[1] = hit.start - shift
        row[2] = hit.end - shift
        row[3] = line
        bytes_push(&self.wide, <const unsigned char *> row, sizeof(row))

    cdef tuple row(self, Py_ssize_t row):
        return self.cell(row, 0), self.cell(row, 1), self.cell(row, 2), self.cell(row, 3)

    @property
    def lines(self):
        """The fourth column: which line, counted from 0."""
        return memoryview(Column.of(self, 3))


cdef class Column:
    """One column of Matches: exists only to be looked at through a memoryview."""

    cdef Matches matches
    cdef int column

    @staticmethod
    cdef Column of(Matches matches, int column):
        cdef Column self = Column.__new__(Column)
        self.matches = matches
        self.column = column
        return self

    def __getbuffer__(self, Py_buffer *view, int flags):
        if not flags & PyBUF_STRIDES == PyBUF_STRIDES:
            raise BufferError("a column of matches is not contiguous")
        fill_view(view, flags, self, self.matches, self.column)
        view.ndim = 1
        view.len = self.matches.used * view.itemsize


cdef int fill_view(Py_buffer *view, int flags, object owner, Matches matches,
                   int column) except -1:
    if flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
        raise BufferError("matches are read-only")
    view.buf = matches.rows + column * matches.strides[1]
    view.obj = owner
    view.itemsize = matches.strides[1]
    view.len = matches.used * matches.strides[0]
    view.readonly = 1
    view.ndim = 2
    view.format = NULL
    if flags & PyBUF_FORMAT == PyBUF_FORMAT:
        view.format = b"Q" if matches.strides[1] == sizeof(uint64_t) else b"I"
    view.shape = matches.shape if flags & PyBUF_ND == PyBUF_ND else NULL
    view.strides = matches.strides if flags & PyBUF_STRIDES == PyBUF_STRIDES else NULL
    view.suboffsets = NULL
    view.internal = NULL
    return 0
