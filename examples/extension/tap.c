/* Reads a console in C and lets Python hear of it only when there is an incident.
 *
 *     import tap, tocsin
 *     scanner = tocsin.Scanner()
 *     while (incidents := tap.listen(scanner, fd)) is not None: ...
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <unistd.h>

#include "tocsin.h"

static const tocsin_api *tocsin;

static PyObject *listen_to(PyObject *module, PyObject *arguments)
{
    unsigned char chunk[65536];
    PyObject *scanner;
    tocsin_scanner *stream;
    ptrdiff_t waiting = 0;
    ssize_t got;
    int fd, error;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "Oi:listen", &scanner, &fd))
        return NULL;
    stream = tocsin->scanner(scanner);
    if (stream == NULL)
        return NULL;
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        do {
            got = read(fd, chunk, sizeof chunk);
            error = errno;
            if (got > 0)
                waiting = tocsin->feed(stream, chunk, (size_t)got);
        } while (got > 0 && waiting == 0);
        Py_END_ALLOW_THREADS
        if (got > 0 || (got < 0 && error != EINTR))
            break;
        if (got == 0)
            Py_RETURN_NONE;
        if (PyErr_CheckSignals() < 0)
            return NULL;
    }
    if (got < 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (waiting == TOCSIN_BUSY) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is feeding this scanner");
        return NULL;
    }
    if (waiting == TOCSIN_NO_MEMORY)
        return PyErr_NoMemory();
    return tocsin->take(scanner);
}

static PyMethodDef methods[] = {
    {"listen", listen_to, METH_VARARGS,
     "listen(scanner, fd): read fd until there are incidents and return them; None at its end."},
    {NULL, NULL, 0, NULL},
};

static int start(PyObject *module)
{
    (void)module;
    tocsin = tocsin_import();
    return tocsin == NULL ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)start}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "tap", NULL, 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_tap(void)
{
    return PyModuleDef_Init(&definition);
}
