package main

// sameProgram starts this very program again, even when another one has taken its place
// on the disk.
const sameProgram = "/proc/self/exe"
