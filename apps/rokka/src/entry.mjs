#!/usr/bin/env node
/**
 * Where the command `rokka` begins. Plain JavaScript, because whatever is loaded before the compile cache is on has its types stripped and is compiled
 * anew each time, with the stripper itself: a quarter of a second for every command. The cache lies beside the code that it is made of; where
 * it cannot be written, main.ts uses that of the data directory.
 */
import * as module from 'node:module';

module.enableCompileCache?.(`${import.meta.dirname}/../node_modules/.compile-cache`);
await import('./main.ts');
