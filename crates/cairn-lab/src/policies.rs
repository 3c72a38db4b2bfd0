//! The table of placement policies, each as a heap that can be chosen at run time.
