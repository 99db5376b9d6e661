/** The customer portal: built apart, so that neither page loads anything of the other. */
import { join } from 'node:path';
import { defineConfig } from 'vite';
import { options } from './vite.config.ts';

export default defineConfig(options('portal', join(import.meta.dirname, 'portal')));
