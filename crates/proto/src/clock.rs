//! Clock synchronisation between the app and the robot.
