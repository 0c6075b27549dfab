package main

// diesWithParent says whether a server stops when its parent is killed.
const diesWithParent = true
