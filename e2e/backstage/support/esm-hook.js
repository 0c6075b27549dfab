// Backstage's frontend packages hold ECMAScript modules, but do not say so in a way
// that Node 20 understands.
export const load = (url, context, next) =>
  next(url, url.endsWith('.esm.js') ? { ...context, format: 'module' } : context);
