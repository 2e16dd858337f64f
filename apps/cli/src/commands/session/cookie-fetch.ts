/** A fetch that keeps the cookies it is given, for the few calls between log-in and the token that replaces the session. */
export function cookieFetch(doFetch: typeof fetch): typeof fetch {
  const cookies = new Map<string, string>();
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    if (cookies.size > 0) headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '));
    const response = await doFetch(input, { ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const split = pair.indexOf('=');
      if (split > 0) cookies.set(pair.slice(0, split).trim(), pair.slice(split + 1).trim());
    }
    return response;
  };
}
