/* wasi-libc has no setjmp. Programs that only name the header, or that can be told
 * not to use it, compile with this in its place; any other fails to. */
