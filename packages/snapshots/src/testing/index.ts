/** What tests of other packages stand on. */
export * from '../local/testing/loop-bench.ts';
export * from '../writers/testing/postgres-server.ts';
