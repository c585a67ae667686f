/** `board:/dev/ttyACM0` where an adapter is named: an attached board sends the adverts. */

/** Its serial port; undefined for every other adapter. */
export function boardPortOf(adapter: string | undefined): string | undefined {
  const port = adapter?.startsWith('board:') ? adapter.slice('board:'.length) : undefined;
  return port === '' ? undefined : port;
}
