import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import type { Plugin, UserConfig } from 'vite';
import { defineConfig } from 'vitest/config';

const home = join(import.meta.dirname, '../src/custodes/_web');
const cache = join(import.meta.dirname, '../.cache/web');

/** What is in the package and no script: its licence goes along with it. */
const LETTERS = join(import.meta.dirname, 'node_modules/@fontsource-variable/inter/LICENSE');

/** Puts .br and .gz beside every text file, so that the server never compresses; takes the manifest out of the wheel. */
function finish(built: string, name: string): Plugin {
  return {
    name: 'finish',
    apply: 'build',
    closeBundle() {
      mkdirSync(cache, { recursive: true });
      renameSync(join(built, 'manifest.json'), join(cache, `${name || 'manifest'}.json`));
      for (const name of readdirSync(join(built, 'assets'))) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const path = join(built, 'assets', name);
        const text = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
        const options = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length };
        writeFileSync(`${path}.br`, brotliCompressSync(text, { params: options }));
      }
      rmSync(join(built, '.vite'), { recursive: true, force: true });
      appendFileSync(join(built, 'LICENSES.md'), `\n## Inter (OFL-1.1)\n\n${readFileSync(LETTERS, 'utf8')}`);
    },
  };
}

/** What is fetched at once with the page: the program, and the tab that one sees first. */
const AT_ONCE = ['App', 'Overview'];

/** The page names what its first script will import, so that all of it is fetched at once. */
function preload(): Plugin {
  return {
    name: 'preload',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(html, { path, bundle = {} }) {
        if (path !== '/index.html') return [];
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
        const entries = AT_ONCE.map((name) => {
          const chunk = chunks.find((file) => file.name === name);
          if (!chunk) throw new Error(`There is no chunk of ${name}.tsx`);
          return chunk;
        });
        const scripts = [...new Set(entries.flatMap((chunk) => [chunk.fileName, ...chunk.imports]))];
        const styles = scripts.flatMap((name) => {
          const chunk = bundle[name];
          return chunk?.type === 'chunk' ? [...(chunk.viteMetadata?.importedCss ?? [])] : [];
        });
        const missing = (name: string) => !html.includes(name);
        const letters = Object.keys(bundle).filter((name) => /inter-latin-wght-normal-[^/]*\.woff2$/.test(name));
        return [
          ...letters.map((name) => ({
            tag: 'link',
            attrs: { rel: 'preload', as: 'font', type: 'font/woff2', crossorigin: true, href: `./${name}` },
            injectTo: 'head' as const,
          })),
          ...scripts.filter(missing).map((name) => ({
            tag: 'link',
            attrs: { rel: 'modulepreload', crossorigin: true, href: `./${name}` },
            injectTo: 'head' as const,
          })),
          ...styles.filter(missing).map((name) => ({
            tag: 'link',
            attrs: { rel: 'stylesheet', crossorigin: true, href: `./${name}` },
            injectTo: 'head' as const,
          })),
        ];
      },
    },
  };
}

/** What the first script needs, and the kit as well: pure, and small. */
const AHEAD =
  /[\\/]src[\\/](?:boot|api[\\/]ahead|time[\\/](?:format|range)|view[\\/]search|planes[\\/]overview[\\/]first)\.|vite[\\/]preload-helper/;

/** What the overview is made of, and every tab uses. */
const KIT =
  /[\\/]src[\\/](?:api|live|time|view|ui[\\/](?:AccessButton|Bars|ConfirmAction|ConfirmButton|KeyValue|May|Page|Panel|Snippet|StatCard|StatusBadge|TimeChart|useAfterPaint|useDialog|whenIdle)\.|shell[\\/]tabs\.)|[\\/]icons[\\/]Icon(?:Ban|Download|Plus|Refresh|ShieldCheck)\.|[\\/]core[\\/]esm[\\/]components[\\/](?:Checkbox[\\/]CheckIcon\.|(?:FloatingIndicator|Input|InputBase|Menu|SegmentedControl|TextInput)[\\/])/;

/** How a page is built. `name`: its folder in the package; empty: the dashboard. `root`: where its index.html is. */
export function options(name: string, root: string): UserConfig {
  const built = join(home, name);
  return {
    root,
    // Relative: the page is served below whatever path the host app mounts it at.
    base: './',
    plugins: [react(), ...(name ? [] : [preload()]), finish(built, name)],
    build: {
      outDir: built,
      emptyOutDir: true,
      target: 'es2023',
      // New enough for light-dark(), which would be replaced by something that Mantine's colour scheme does not switch.
      cssTarget: ['chrome123', 'edge123', 'firefox120', 'safari17.5'],
      manifest: 'manifest.json',
      license: { fileName: 'LICENSES.md' },
      // No data: URLs: the Content-Security-Policy allows files of our own only.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // What loads first is held against its bound by scripts/web.py.
      chunkSizeWarningLimit: 1_000,
      rolldownOptions: {
        checks: { pluginTimings: false },
        output: {
          codeSplitting: {
            // One file of what the overview shares with the tabs: many small ones compress worse, and each tab makes more.
            groups: name
              ? []
              : [
                  { name: 'ahead', test: AHEAD, priority: 1 },
                  { name: 'kit', test: KIT },
                ],
          },
        },
        onwarn(warning, warn) {
          // Mantine marks its files for server components; there are none here.
          if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
        },
      },
    },
  };
}

export default defineConfig({
  ...options('', import.meta.dirname),
  server: { proxy: { '/api/admin/enterprise': process.env.CUSTODES_URL ?? 'http://127.0.0.1:8321' } },
  test: { include: ['src/**/*.test.ts'] },
});
