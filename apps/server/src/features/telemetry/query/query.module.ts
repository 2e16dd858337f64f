import { Module } from '@nestjs/common';
import { EventsQuery } from './events.query.js';
import { HeatmapQuery } from './heatmap.query.js';
import { MetricsQuery } from './metrics.query.js';
import { ProfileQuery } from './profile.query.js';
import { SeriesQuery } from './series.query.js';
import { TelemetryController } from './telemetry.controller.js';
import { TelemetryReads } from './telemetry-reads.js';

@Module({
  controllers: [TelemetryController],
  providers: [TelemetryReads, MetricsQuery, SeriesQuery, HeatmapQuery, EventsQuery, ProfileQuery],
})
export class TelemetryQueryModule {}
