// Where things are. The page may be below any path prefix: this file is at
// {root}assets/{version}/js/kit/place.js, and everything follows from that.
export const root = new URL('../../../../', import.meta.url);
export const assets = new URL('../../', import.meta.url);

const { api: apiPath, app } = document.documentElement.dataset;
export const api = new URL(apiPath || 'api/', root);

/** appURL is what relative links of notifications are resolved against. */
export const appURL = new URL(app || root);
