/* tocsin's interface for C, and for whatever can call C.
 *
 * Include Python.h first. The folder of this file is `tocsin.get_include()` in Python; nothing has
 * to be linked. All functions are reached through one table of pointers:
 *
 *     const tocsin_api *api = tocsin_import();            // NULL: ImportError is set
 *     tocsin_scanner *stream = api->scanner(scanner);     // of a tocsin.Scanner; NULL: error is set
 *     Py_BEGIN_ALLOW_THREADS
 *     waiting = api->feed(stream, data, size);            // any number of times
 *     Py_END_ALLOW_THREADS
 *     if (waiting > 0) incidents = api->take(scanner);    // a new list of tocsin.Incident
 *
 * The GIL. Each function below says whether it wants the GIL (an attached thread state, where
 * Python is free-threaded). Those that do not, neither take it nor look for it: any thread may call
 * them, also one that Python does not know, and also while the GIL is held.
 *
 * Lifetimes. A `tocsin_automaton` or `tocsin_scanner` is borrowed from the Python object it was
 * made of, and good for as long as the caller owns a reference to that object. Data is only read,
 * during the call, and may be freed after it.
 *
 * Threads. An automaton never changes: any number of threads may search with it at once. A scanner
 * is one stream: one thread at a time, in C or in Python. A second one is refused (TOCSIN_BUSY, in
 * Python RuntimeError) where it is noticed, but noticing is no lock.
 *
 * Versions. TOCSIN_ABI changes when something here changes its meaning; a newer tocsin of the same
 * TOCSIN_ABI may have more functions, behind those of today. tocsin_import() fails, and says why,
 * when the tocsin that is installed does not fit the header that was compiled against.
 */
#ifndef TOCSIN_H
#define TOCSIN_H

#ifndef Py_PYTHON_H
#error "include Python.h before tocsin.h"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOCSIN_ABI 1

/* What feed() and find() return instead of a number. */
#define TOCSIN_NO_MEMORY (-1) /* of a feed: the scanner's state is no longer whole */
#define TOCSIN_BUSY (-2)      /* another thread is feeding this scanner; nothing was taken */

typedef struct tocsin_automaton tocsin_automaton;
typedef struct tocsin_scanner tocsin_scanner;

typedef struct tocsin_match {
    uint64_t pattern; /* number of the literal, in the order the automaton was made with */
    uint64_t start;   /* half-open place in the data */
    uint64_t end;
} tocsin_match;

typedef struct tocsin_api {
    uint32_t abi;        /* TOCSIN_ABI of the tocsin that is installed */
    uint32_t size;       /* bytes of this table as that tocsin has it */
    const char *version; /* tocsin.__version__ */

    /* --- with the GIL --- */

    /* The automaton in a tocsin.Automaton. NULL with TypeError for anything else. */
    const tocsin_automaton *(*automaton)(PyObject *object);
    /* The stream in a tocsin.Scanner. NULL with TypeError for anything else, ValueError after
     * close(). The scanner must not be closed while it is in use here. */
    tocsin_scanner *(*scanner)(PyObject *object);
    /* What waits in a tocsin.Scanner: a new reference to a list of tocsin.Incident; NULL with an
     * error set. scanner.feed(b"") in Python does the same, and scanner.flush() ends, as always,
     * what is open. Incidents that wait are not in scanner.dumps(), which refuses: take them. */
    PyObject *(*take)(PyObject *scanner);

    /* --- without the GIL --- */

    /* How many matches there are, overlapping ones counted. */
    size_t (*count)(const tocsin_automaton *automaton, const unsigned char *data, size_t size);
    /* 1 if there is one, else 0. */
    int (*is_match)(const tocsin_automaton *automaton, const unsigned char *data, size_t size);
    /* Writes the first `room` matches, by end, then start, then pattern; returns how many there are
     * in all, or TOCSIN_NO_MEMORY. `matches` may be NULL if `room` is 0. */
    ptrdiff_t (*find)(const tocsin_automaton *automaton, const unsigned char *data, size_t size,
                      tocsin_match *matches, size_t room);
    /* Takes the next bytes of the stream; returns how many closed reports wait for take(), those of
     * earlier calls counted in, TOCSIN_NO_MEMORY or TOCSIN_BUSY. A report that turns out to be a
     * misreading is no incident, so take() may bring fewer. They are kept until they are taken:
     * take them when there are any, or memory grows with the trouble in the log. */
    ptrdiff_t (*feed)(tocsin_scanner *scanner, const unsigned char *data, size_t size);
} tocsin_api;

#define TOCSIN_MODULE "tocsin.capi"
#define TOCSIN_ATTRIBUTE "C_API"
#define TOCSIN_CAPSULE TOCSIN_MODULE "." TOCSIN_ATTRIBUTE

/* The table, which lives as long as the process; NULL with ImportError (or what importing tocsin
 * raised). Wants the GIL. Cheap enough to be called whenever the table is wanted. */
static inline const tocsin_api *tocsin_import(void)
{
    const tocsin_api *api;
    PyObject *capsule, *module = PyImport_ImportModule(TOCSIN_MODULE);
    if (module == NULL)
        return NULL;
    capsule = PyObject_GetAttrString(module, TOCSIN_ATTRIBUTE);
    Py_DECREF(module);
    if (capsule == NULL)
        return NULL;
    api = (const tocsin_api *)PyCapsule_GetPointer(capsule, TOCSIN_CAPSULE);
    Py_DECREF(capsule); /* the module keeps it */
    if (api == NULL)
        return NULL;
    if (api->abi != TOCSIN_ABI) {
        PyErr_Format(PyExc_ImportError,
                     "this extension was built for version %u of tocsin's C interface, but the "
                     "installed tocsin %s has version %u: build the extension again for it",
                     (unsigned)TOCSIN_ABI, api->version, (unsigned)api->abi);
        return NULL;
    }
    if (api->size < sizeof(tocsin_api)) {
        PyErr_Format(PyExc_ImportError,
                     "this extension was built with the header of a newer tocsin than the "
                     "installed %s (%u bytes of functions, there are %u): install the newer one, "
                     "or build the extension again",
                     api->version, (unsigned)sizeof(tocsin_api), (unsigned)api->size);
        return NULL;
    }
    return api;
}

#ifdef __cplusplus
}
#endif

#endif
