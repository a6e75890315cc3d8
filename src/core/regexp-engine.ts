// Switches on V8's linear-time regular expression fallback. Import this before the first regex is used:
// a pattern such as ^(a+)+$ then costs time linear in its subject instead of exponential.
import v8 from 'node:v8'

v8.setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
