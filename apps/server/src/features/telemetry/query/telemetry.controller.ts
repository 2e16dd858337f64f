import { Controller } from '@nestjs/common';
import { Route, RouteQuery, type QueryOf, type ResponseOf } from '../../../http/route.js';
import { EventsQuery } from './events.query.js';
import { HeatmapQuery } from './heatmap.query.js';
import { MetricsQuery } from './metrics.query.js';
import { ProfileQuery } from './profile.query.js';
import { SeriesQuery } from './series.query.js';

/** Reads of the telemetry store; any viewer may. */
@Controller()
export class TelemetryController {
  constructor(
    private readonly metrics: MetricsQuery,
    private readonly seriesQuery: SeriesQuery,
    private readonly heatmapQuery: HeatmapQuery,
    private readonly eventsQuery: EventsQuery,
    private readonly profileQuery: ProfileQuery,
  ) {}

  @Route('overview')
  overview(): Promise<ResponseOf<'overview'>> {
    return this.metrics.overview();
  }

  @Route('listMetrics')
  async listMetrics(@RouteQuery('listMetrics') query: QueryOf<'listMetrics'>): Promise<ResponseOf<'listMetrics'>> {
    return { items: await this.metrics.metricsOf(query.device) };
  }

  @Route('series')
  series(@RouteQuery('series') query: QueryOf<'series'>): Promise<ResponseOf<'series'>> {
    return this.seriesQuery.run(query);
  }

  @Route('heatmap')
  heatmap(@RouteQuery('heatmap') query: QueryOf<'heatmap'>): Promise<ResponseOf<'heatmap'>> {
    return this.heatmapQuery.run(query);
  }

  @Route('events')
  events(@RouteQuery('events') query: QueryOf<'events'>): Promise<ResponseOf<'events'>> {
    return this.eventsQuery.run(query);
  }

  @Route('profile')
  profile(@RouteQuery('profile') query: QueryOf<'profile'>): Promise<ResponseOf<'profile'>> {
    return this.profileQuery.run(query);
  }
}
