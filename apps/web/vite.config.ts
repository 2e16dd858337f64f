import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.BPFLEET_SERVER ?? 'http://127.0.0.1:8480';

export default defineConfig({
  plugins: [react()],
  // One file of script: over a link that drops, a page that loaded must not need another piece to open a view.
  build: { target: 'es2022', chunkSizeWarningLimit: 1500, sourcemap: false },
  server: { proxy: { '/api': { target: server, changeOrigin: false } } },
});
