// The driver of RethinkDB, loaded when a pipeline first needs it: by its names, which a bundle keeps only of static imports.
export { r } from 'rethinkdb-ts'
